import { createHash } from "node:crypto";
import type { BrowserContext, Page } from "playwright-core";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import type { Clients } from "../../../daemon/harness.js";

/** Every page of the console, by a word for it. @param connection that the pages about one, and about its provider, are of */
export function consolePaths(
  connection: { readonly id: string; readonly providerId: string } | undefined,
  /** A caller that has done something. */
  agent = "key:claude",
): Readonly<Record<string, string>> {
  const { id: connectionId, providerId } = connection ?? { id: "", providerId: "" };
  return {
    connections: "/connections",
    "connections-attention": "/connections?state=attention",
    "connections-none": "/connections?search=nobody-has-this",
    connect: "/connections/new",
    connection: `/connections/${connectionId}`,
    providers: "/providers",
    provider: `/providers/${providerId}`,
    "provider-client": `/providers/${providerId}/client`,
    catalogue: "/providers/add?search=google",
    "catalogue-none": "/providers/add?search=nobody-has-this",
    "provider-add": "/providers/add/keycloak",
    "provider-add-key": "/providers/add/google-service-account",
    "provider-new": "/providers/new",
    overview: "/overview",
    "connections-user": "/connections?user=ada",
    agents: "/agents",
    "agents-ended": "/agents?ended=1",
    agent: "/agents/key:claude",
    "agent-other": `/agents/${encodeURIComponent(agent)}`,
    grant: "/agents/grant?agent=reader",
    "key-new": "/agents/keys/new",
    approvals: "/approvals",
    "approvals-decided": "/approvals?show=decided",
    activity: "/activity",
    "activity-filter": `/activity?show=refused&since=24h&${new URLSearchParams({ agent })}`,
    "activity-none": "/activity?type=nothing",
    "activity-event": "/activity/2",
    rules: "/rules",
    "rules-try":
      "/rules/try?principal=reader&provider=github&user=ada&url=api.github.com/repos/acme/site/issues",
    settings: "/settings",
  };
}

/** Keys of each kind, a revoked one and a denied call, for the pages that list them. */
export async function withCallers({ access }: Clients, httpUrl: string): Promise<void> {
  const restriction = { userIds: ["ada", "acme:*"], providers: ["github"] };
  const { key } = await access.createApiKey({ name: "reader", role: Role.AGENT, restriction });
  const granted = { userIds: ["ada"], providers: ["github"], methods: ["GET", "HEAD", "OPTIONS"] };
  await access.createApiKey({ name: "claude.github.a1b2c3", role: Role.AGENT, restriction: granted });
  await access.createApiKey({ name: "operations", role: Role.OPERATOR });
  await access.createApiKey({ name: "former", role: Role.ADMIN });
  await access.revokeApiKey({ key: { case: "name", value: "former" } });
  await fetch(`${httpUrl}/nexus.v1.AccessService/ListApiKeys`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key },
    body: "{}",
  });
}

/** Requests of the owner that wait for a person under the policy of `withPolicy`: with a small body, none, and a long one. */
export async function withHeldRequests({ tokens }: Clients, connectionId: string): Promise<void> {
  const small = JSON.stringify({ title: "Pay p\u0430ypal", labels: ["bug"], assignees: [{ login: "ada" }] });
  for (const [index, text] of [small, "", "x".repeat(4_000)].entries()) {
    const body = Buffer.from(text);
    const request = {
      ...{ method: "POST", url: `https://api.github.com/repos/acme/site/issues?step=${index}`, body },
      ...{ bodySize: BigInt(body.length), bodySha256: createHash("sha256").update(body).digest() },
      ...{ session: "run-7", showsHeaders: true, headers: { "content-type": "application/json" } },
    };
    // Nobody answers it but the end of the daemon.
    void tokens.getToken({ connectionId, request }).catch(() => undefined);
  }
}

/** Signs a browser in. @returns the page that the link led to */
export async function signedIn(
  context: Pick<BrowserContext, "newPage">,
  { console }: Pick<Clients, "console">,
): Promise<Page> {
  const page = await context.newPage();
  const { url } = await console.createConsoleLink({});
  await page.goto(url);
  return page;
}

/** Leads to the page that a form answers with, of which no path tells: the link for whoever is to consent. */
export async function openConsent(page: Page, connectionId: string): Promise<void> {
  await page.goto(new URL(`/connections/${connectionId}`, page.url()).href);
  await page.getByRole("button", { name: /Consent again|Ask for consent/ }).click();
  await page.getByRole("link", { name: "Open the link" }).waitFor();
}

/** Leads to the page that a form answers with: what the policy decides about a request. */
export async function tryRequest(page: Page): Promise<void> {
  await page.goto(new URL(consolePaths(undefined)["rules-try"] ?? "", page.url()).href);
  await page.getByLabel("Method").fill("POST");
  await page.getByRole("button", { name: "Try", exact: true }).click();
  await page.getByText("Decided by").waitFor();
}

/** Pages for who is not signed in, and of what there is not. */
export const outsidePaths = {
  "signed-out": "/connections",
  "used-link": "/open?code=x",
  nothing: "/nothing",
} as const;
