import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page as ChromiumPage } from "playwright-core";
import { describe, expect, it } from "vitest";
import { bindingLifeMs } from "../../../../src/ext/identity/sign_in/bindings.js";
import { browser } from "../../../browser_fixture.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { consented, registeredAt, requestOf } from "../../../daemon/requests.js";
import { answerConsent, Browser, type Page } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { freePort } from "../../../free_port.js";
import { perTest } from "../../../lifetimes.js";
import { faultsOfLooks } from "../../../page_faults.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const policy = (groups: readonly string[]) => `rules:
  - { when: 'request.method == "DELETE"', then: ask }
  - { when: 'request.method == "GET"', then: allow }
bindings:
${groups.map((group) => `  - { principals: ["jwt:${group}:*"], role: ${group.slice(0, -1)} }\n`).join("")}`;

/** A daemon whose console people sign in to at a provider, which puts them into `groups`. */
async function organisation() {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const groups = { of: ["nexusd-operators"] };
  const provider = await startOpenIdProvider({
    redirectUris: [`${origin}/sign-in/admins/callback`],
    identity: () => ({ groups: groups.of }),
  });
  const folder = temporaryFolder();
  const fileOf = (name: string) => join(folder, name);
  const { clientId, clientSecret } = provider.clients.basic;
  writeFileSync(fileOf("secret"), clientSecret, { mode: 0o600 });
  const issuerOf = (group: string) => `
  - name: ${group}
    issuer: ${provider.issuer}
    audience: ${clientId}
    claims: { groups: nexusd-${group} }
    sign_in: { title: Example Corp, client_secret_file: ${fileOf("secret")} }`;
  writeFileSync(
    fileOf("issuers.yaml"),
    `issuers:${["admins", "operators", "guests"].map(issuerOf).join("")}\n`,
  );
  writeFileSync(fileOf("policy.yaml"), policy(["admins", "operators"]));
  const daemon = await TestDaemon.start({
    NEXUS_CONSOLE_LISTEN: `127.0.0.1:${port}`,
    NEXUS_CONSOLE_URL: origin,
    NEXUS_JWT_ISSUERS_FILE: fileOf("issuers.yaml"),
    NEXUS_POLICY_FILE: fileOf("policy.yaml"),
  });
  const bind = (names: readonly string[]) => writeFileSync(fileOf("policy.yaml"), policy(names));
  const close = async () => {
    await daemon.close();
    await provider.stop();
  };
  return { origin, groups, provider, daemon, bind, close };
}

describe("people sign in to the console at their organisation's provider", () => {
  const chromium = browser();
  const place = perTest(organisation);

  const signIn = async (
    path = "/sign-in/admins",
    browser = new Browser(),
    stopAt?: (url: string) => boolean,
  ) => {
    const begun = await browser.get(`${place.origin}${path}`, stopAt);
    return { browser, page: await answerConsent(browser, begun, "allow", stopAt) };
  };
  const titleOf = ({ body }: Page) => /<h1>([^<]*)/.exec(body)?.[1];
  const isCallback = (url: string) => url.startsWith(`${place.origin}/sign-in/admins/callback`);
  const events = async (type: string) => {
    const { events: all } = await place.daemon.clients.audit.listAuditEvents({});
    return all
      .filter(({ eventType }) => eventType === type)
      .map(({ principal, reason }) => [principal, reason]);
  };

  it("with the role of their group, on the record, until they sign out", async () => {
    const { browser, page } = await signIn("/sign-in/admins?to=%2Fproviders%2Fadd%3Fsearch%3Dx");
    expect([page.status, titleOf(page)]).toEqual([200, "Signed in"]);
    expect(page.body).toContain(`<meta http-equiv="refresh" content="0;url=/providers/add?search=x"/>`);
    const inside = await browser.get(`${place.origin}/connections`);
    expect(inside.body).toContain("Signed in as <bdi>jwt:operators:ada</bdi>");
    expect(inside.body).toContain('href="/approvals"');
    expect(inside.body).not.toContain('href="/settings"');
    expect(await events("console.session_opened")).toEqual([["jwt:operators:ada", place.provider.issuer]]);

    const out = await browser.submit(inside, {
      form_token: /name="form_token" value="([^"]+)"/.exec(inside.body)?.[1] ?? "",
    });
    expect(out.body).toContain("You may still be signed in at Example Corp.");
    expect(await events("console.session_ended")).toEqual([["jwt:operators:ada", ""]]);
    expect((await browser.get(`${place.origin}/connections`)).status).toBe(401);
  });

  it("and decide requests in their own name", async () => {
    const { clients } = place.daemon;
    const providerId = await registeredAt(place.provider, clients);
    const connectionId = await consented(clients, requestOf(providerId));
    const body = { bodySize: 0n, bodySha256: createHash("sha256").digest() };
    const request = { method: "DELETE", url: "https://api.example/repos/1", session: "run-7", ...body };
    const token = clients.tokens.getToken({ connectionId, request });
    const { browser } = await signIn();
    const list = async () => (await browser.get(`${place.origin}/approvals`)).body;
    await expect.poll(list, { timeout: 30_000 }).toContain('name="digest"');
    const page = await browser.get(`${place.origin}/approvals`);
    await browser.submit(page, { answer: "yes" });
    expect((await token).token?.credentials["access_token"]).toBeTypeOf("string");
    expect((await events("approval.given")).map(([principal]) => principal)).toEqual(["jwt:operators:ada"]);
  });

  it("and have no access without a group, or with one that the policy gives no role", async () => {
    place.groups.of = ["nexusd-operator"];
    const none = await signIn();
    expect([none.page.status, titleOf(none.page)]).toEqual([403, "No access"]);
    expect(none.page.body).toContain("Example Corp knows you as <bdi><code>ada</code></bdi>.");
    expect((await none.browser.get(`${place.origin}/connections`)).status).toBe(401);
    place.groups.of = ["nexusd-guests"];
    const guest = await signIn();
    expect([guest.page.status, guest.page.body.includes("<code>jwt:guests:ada</code>")]).toEqual([403, true]);
    expect(await events("console.sign_in_refused")).toEqual([
      ["browser", "admins: jwt:guests:ada has no role"],
      ["browser", "admins: no_claims"],
    ]);
    expect(await events("console.session_opened")).toEqual([]);
  });

  it("and are out as soon as the policy, an administrator, or the clock ends it", async () => {
    const statusOf = async (browser: Browser) => (await browser.get(`${place.origin}/connections`)).status;
    const first = await signIn();
    expect(titleOf(first.page)).toBe("Signed in");
    expect(await statusOf(first.browser)).toBe(200);
    place.bind(["admins"]);
    // The file is read again by the clock of the daemon.
    const later = (read: () => Promise<number>) => () => {
      place.daemon.clock.advance(1_000);
      return read();
    };
    await expect
      .poll(
        later(() => statusOf(first.browser)),
        { timeout: 30_000 },
      )
      .toBe(401);
    place.bind(["admins", "operators"]);
    const reaches = async () => {
      const { browser } = await signIn();
      return statusOf(browser);
    };
    await expect.poll(later(reaches), { timeout: 30_000 }).toBe(200);

    const { browser } = await signIn();
    await place.daemon.clients.approvals.stopPrincipal({ principal: "jwt:operators:ada" });
    expect(await statusOf(browser)).toBe(401);
    expect(await reaches()).toBe(401);

    place.groups.of = ["nexusd-admins"];
    const admin = await signIn();
    place.daemon.clock.advance(8 * 3_600_000 - 1_000);
    expect(await statusOf(admin.browser)).toBe(200);
    place.daemon.clock.advance(1_000);
    expect(await statusOf(admin.browser)).toBe(401);
  });

  it("by a response that works once, in the browser that asked, and leads to no other site", async () => {
    const { browser, page } = await signIn("/sign-in/admins", new Browser(), isCallback);
    const thief = new Browser();
    expect((await thief.get(page.url)).status).toBe(400);
    expect((await browser.get(page.url.replace(/state=[^&]*/, "state=x"))).status).toBe(400);
    expect((await browser.get(page.url)).status).toBe(400);

    const again = await signIn("/sign-in/admins", browser, isCallback);
    const mixedUp = again.page.url.replace(/iss=[^&]*/, "iss=https%3A%2F%2Fevil.example");
    expect([(await browser.get(mixedUp)).status, (await browser.get(again.page.url)).status]).toEqual([
      502, 400,
    ]);

    const late = await signIn("/sign-in/admins", browser, isCallback);
    place.daemon.clock.advance(bindingLifeMs);
    expect((await browser.get(late.page.url)).status).toBe(400);

    for (const to of [
      "https://evil.example/connections",
      "//evil.example",
      "/\\evil.example",
      "/nowhere",
      "javascript:x",
    ]) {
      const { page: done } = await signIn(`/sign-in/admins?${new URLSearchParams({ to })}`);
      expect([to, done.body.match(/url=([^"]*)"/)?.[1]]).toEqual([to, "/"]);
    }
    for (const path of [
      "/sign-in/nobody",
      "/sign-in/operators",
      "/sign-in/admins/x",
      "/sign-in/admins/callback/x",
    ])
      expect([path, (await browser.get(`${place.origin}${path}`)).status]).toEqual([path, 404]);
  });

  it("also under the other names of this machine, and tells who is led there by another site to begin themselves", async () => {
    const { page } = await signIn("/sign-in/admins", new Browser(), (url) =>
      url.startsWith(place.provider.issuer),
    );
    expect(page.status).toBe(0);
    const other = new URL(place.origin);
    other.hostname = "127.0.0.1";
    const { headers } = await fetch(`${other.origin}/sign-in/admins?to=/agents`, { redirect: "manual" });
    expect(headers.get("location")).toBe(`${place.origin}/sign-in/admins?to=%2Fagents`);
    const led = await fetch(`${place.origin}/sign-in/admins`, {
      headers: { "sec-fetch-site": "cross-site" },
      redirect: "manual",
    });
    expect([led.status, (await led.text()).includes('href="/sign-in/admins"')]).toEqual([401, true]);
  });

  it("and stay signed in where another origin of this site leads to a sign-in", async () => {
    const { url } = await place.daemon.clients.console.createConsoleLink({});
    const opened = await fetch(url, { redirect: "manual" });
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const led = await fetch(`${place.origin}/sign-in/admins`, {
      headers: { "sec-fetch-site": "same-site", cookie },
      redirect: "manual",
    });
    expect([led.status, led.headers.getSetCookie()]).toEqual([401, []]);
    expect((await fetch(`${place.origin}/connections`, { headers: { cookie } })).status).toBe(200);
  });

  it("and leave no session behind where they sign in once more", async () => {
    const { browser } = await signIn();
    const again = await signIn("/sign-in/admins", browser, isCallback);
    const jarOf = (await browser.get(again.page.url)).headers.getSetCookie();
    expect(jarOf.length).toBe(2);
    expect(await events("console.session_ended")).toEqual([["jwt:operators:ada", ""]]);
  });

  it("on pages that are well formed at every width, light and dark", async () => {
    const signIn = async (page: ChromiumPage, path: string) => {
      await page.goto(`${place.origin}${path}`);
      await page.locator("#continue").click();
      await page.locator("#allow").click();
    };
    const pages: Record<string, (page: ChromiumPage) => Promise<unknown>> = {
      "sign-in": (page) => page.goto(`${place.origin}/connections`),
      "sign-in-over": (page) => page.goto(`${place.origin}/sign-in/admins/callback?state=x`),
      "sign-in-no-access": async (page) => {
        place.groups.of = ["nexusd-operator"];
        await signIn(page, "/sign-in/admins");
        await page.getByRole("heading", { name: "No access" }).waitFor();
      },
      "sign-in-no-role": async (page) => {
        place.groups.of = ["nexusd-guests"];
        await signIn(page, "/sign-in/admins");
        await page.getByRole("heading", { name: "No access" }).waitFor();
      },
      "sign-in-left": async (page) => {
        place.groups.of = ["nexusd-operators"];
        await signIn(page, "/sign-in/admins");
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByText("You may still be signed in").waitFor();
      },
    };
    for (const [word, leads] of Object.entries(pages))
      expect([word, await faultsOfLooks(chromium, word, leads)]).toEqual([word, {}]);
  }, 300_000);

  it("in Chromium, and come to the page that they wanted", async () => {
    const page: ChromiumPage = await (await chromium.newContext()).newPage();
    await page.goto(`${place.origin}/providers/add?search=google`);
    await page.getByRole("link", { name: "Sign in with Example Corp" }).click();
    await page.locator("#continue").click();
    await page.locator("#allow").click();
    await page.getByRole("heading", { name: "Add" }).first().waitFor();
    expect(page.url()).toBe(`${place.origin}/providers/add?search=google`);
    await page.getByText("Signed in as jwt:operators:ada").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You may still be signed in at Example Corp.").waitFor();
  });
});

it("needs the public URL of the console, which browsers are led back to", async () => {
  const issuers = join(temporaryFolder(), "issuers.yaml");
  writeFileSync(
    issuers,
    "issuers:\n  - { name: corp, issuer: 'https://id.example', audience: a, sign_in: {} }\n",
  );
  const settings = { NEXUS_CONSOLE_LISTEN: "127.0.0.1:0", NEXUS_JWT_ISSUERS_FILE: issuers };
  await expect(TestDaemon.start(settings)).rejects.toThrow(
    "NEXUS_CONSOLE_URL must be set, because the issuer corp has sign_in: it leads browsers back to <URL>/sign-in/corp/callback",
  );
});
