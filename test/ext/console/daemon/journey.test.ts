import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { browser } from "../../../browser_fixture.js";
import { TestDaemon, World } from "../../../daemon/harness.js";
import { Authority } from "../../../fakes/certificates.js";
import { perTest } from "../../../lifetimes.js";
import { writePair } from "../../../server/tls_fixture.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { signedIn } from "./pages.js";

describe("a person in front of the console", () => {
  const chromium = browser();
  const world = perTest(() => World.make());

  /** The state that the page shows, as it changes by itself. */
  const shows = (page: Page, state: string) =>
    page.locator("[data-state]").getByText(state, { exact: true }).waitFor({ timeout: 30_000 });

  /** Follows the link of a page of the console through the provider, in a tab of its own. */
  async function consent(page: Page): Promise<void> {
    const [tab] = await Promise.all([page.waitForEvent("popup"), page.getByText("Open the link").click()]);
    const signIn = tab.locator("#continue");
    const allow = tab.locator("#allow");
    await signIn.or(allow).first().waitFor();
    if (await signIn.isVisible()) await signIn.click();
    await allow.click();
    await tab.getByRole("heading", { name: "Connected" }).waitFor();
    await tab.close();
  }

  it("connects, watches the row, learns of a dead provider, consents again and revokes", async () => {
    const providerId = await world.register("acme");
    const context = await chromium.newContext();
    const bodies: Promise<string>[] = [];
    const page = await signedIn(context, world.clients);
    page.on("response", (response) => {
      bodies.push(response.text().catch(() => ""));
    });
    const tokens: string[] = [];
    const keepToken = async (connectionId: string) => {
      const { token } = await world.clients.tokens.getToken({ connectionId });
      tokens.push(token?.credentials["access_token"] ?? "");
    };

    const passRefreshTime = async (connectionId: string) => {
      const { connection } = await world.clients.connections.getConnection({ connectionId });
      const { refreshNotBefore } = connection ?? {};
      if (!refreshNotBefore) throw new Error("no refresh is planned");
      world.clock.advance(timestampMs(refreshNotBefore) - world.clock.nowMs() + 1_000);
    };

    await page.getByRole("link", { name: "Connect", exact: true }).click();
    await page.getByLabel("Provider").selectOption({ label: "acme" });
    await page.getByLabel("User").fill("ada");
    await page.getByRole("button", { name: "Ask for consent" }).click();
    await shows(page, "Pending");
    await consent(page);
    await shows(page, "Active");
    const { connections } = await world.clients.connections.listConnections({ providerId });
    const [{ id = "", revision = 0n } = {}] = connections;
    await keepToken(id);

    await page.getByRole("link", { name: "Connections" }).click();
    const row = page.locator(`#c-${id}`);
    expect(await row.locator("th").textContent()).toContain("acme");
    await page.getByText("Live", { exact: true }).waitFor();
    const ends = row.locator('td[data-label="Token ends"] time');
    const version = await ends.getAttribute("datetime");
    await passRefreshTime(id);
    await expect.poll(() => ends.getAttribute("datetime"), { timeout: 30_000 }).not.toBe(version);
    const refreshed = (await world.clients.connections.getConnection({ connectionId: id })).connection;
    expect(refreshed?.revision).toBe(revision + 1n);
    await keepToken(id);

    await world.provider.setOutage("503");
    await passRefreshTime(id);
    await page.locator(`[data-state="Active, with a problem"]`).waitFor({ timeout: 30_000 });
    expect(await row.textContent()).toContain("The last refresh failed");
    expect(await page.locator("[data-announce]").textContent()).toBe("acme, ada: Active, with a problem");

    await world.provider.setOutage("none");
    await world.provider.revokeAllGrants();
    await row.getByRole("link").click();
    const { connection: failing } = await world.clients.connections.getConnection({ connectionId: id });
    const retryMs = failing?.problem?.retryAt ? timestampMs(failing.problem.retryAt) : 0;
    world.clock.advance(retryMs - world.clock.nowMs() + 1_000);
    await shows(page, "Attention");
    expect(await page.locator(".why").textContent()).toContain("Ask for consent again.");
    expect(await page.locator(".timeline").textContent()).toContain("Token refreshed");

    await page.getByRole("button", { name: "Consent again" }).click();
    await consent(page);
    await shows(page, "Active");
    await keepToken(id);
    await page.getByRole("link", { name: "Go to the connection" }).click();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("The token was refreshed.").waitFor();
    await keepToken(id);

    await page.getByRole("button", { name: "Revoke" }).click();
    const asked = page.getByRole("dialog", { name: "Revoke this connection?" });
    await asked.getByRole("button", { name: "Cancel" }).click();
    expect(await asked.isVisible()).toBe(false);
    await page.getByRole("button", { name: "Revoke" }).click();
    await asked.getByRole("button", { name: "Revoke" }).click();
    await shows(page, "Revoked");
    const revoked = (await world.clients.connections.getConnection({ connectionId: id })).connection;
    expect(revoked?.status).toBe(ConnectionStatus.REVOKED);

    const seen = (await Promise.all(bodies)).join("\n");
    const secrets = [...tokens, world.provider.clients.post.clientSecret];
    expect(secrets.filter((secret) => secret.length < 10 || seen.includes(secret))).toEqual([]);
    expect(seen).toContain("Token refreshed");
  });

  it("works without scripts", async () => {
    await world.register("acme");
    const context = await chromium.newContext({ javaScriptEnabled: false });
    const page = await signedIn(context, world.clients);
    await page.getByRole("link", { name: "Connect", exact: true }).click();
    await page.getByLabel("User").fill("ada");
    await page.getByRole("button", { name: "Ask for consent" }).click();
    await consent(page);
    await page.getByRole("link", { name: "Go to the connection" }).click();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("The token was refreshed.").waitFor();
    await page.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("The connection was revoked").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("This browser is signed out.").waitFor();
  });

  it("is served by one session, which another site or another port of the host cannot use", async () => {
    const providerId = await world.register("acme");
    const connectionId = await world.connect(providerId);
    const context = await chromium.newContext();
    const page = await signedIn(context, world.clients);
    const origin = new URL(page.url()).origin;
    const [cookie] = (await context.cookies(origin)).filter(({ name }) => name.includes("console"));
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
    await page.goto(`${origin}/connections/${connectionId}`);
    const token = await page.locator("[name=form_token]").first().inputValue();

    // The attacker even knows the form token.
    const server = createServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end(
        `<form method="post" action="${origin}/connections/${connectionId}/revoke"><input name="form_token" value="${token}"><button>Win</button></form>`,
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const [host, status] of [
      ["127.0.0.1", 403],
      ["localhost", 401],
    ] as const) {
      const evil = await context.newPage();
      await evil.goto(`http://${host}:${port}/`);
      const read = await evil.evaluate<string>(
        `fetch("${origin}/connections", { credentials: "include" }).then((answer) => answer.text(), () => "refused")`,
      );
      expect([host, read]).toEqual([host, "refused"]);
      const [answer] = await Promise.all([
        evil.waitForResponse((response) => response.url().endsWith("/revoke")),
        evil.getByText("Win").click(),
      ]);
      expect([host, answer.status()]).toEqual([host, status]);
      const { connection } = await world.clients.connections.getConnection({ connectionId });
      expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
    }
  });
});

describe("a person in front of a console with TLS", () => {
  const chromium = browser();
  const daemon = perTest(() => {
    const issued = new Authority("CA").issueServer();
    const { certFile, keyFile } = writePair(temporaryFolder(), issued);
    return TestDaemon.start({
      ...{ NEXUS_TLS_CERT_FILE: certFile, NEXUS_TLS_KEY_FILE: keyFile, NEXUS_TLS_LISTENERS: "console" },
    });
  });

  it("has a cookie that no other host can set", async () => {
    const context = await chromium.newContext({ ignoreHTTPSErrors: true });
    const page = await signedIn(context, daemon.clients);
    expect(page.url()).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/overview$/);
    expect(await context.cookies(page.url())).toMatchObject([
      {
        name: expect.stringMatching(/^__Host-nexus-console-\d+$/),
        secure: true,
        httpOnly: true,
        sameSite: "Strict",
      },
    ]);
  });
});
