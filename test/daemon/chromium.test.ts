import { Code, ConnectError } from "@connectrpc/connect";
import type { BrowserContext, Page } from "playwright-core";
import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { browser } from "../browser_fixture.js";
import { consent, Browser as HttpBrowser } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { World } from "./harness.js";
import { requestOf } from "./requests.js";

/** A tab, and everything in it that would trouble a person. */
class Tab {
  readonly troubles: string[] = [];
  readonly hosts = new Set<string>();

  private constructor(readonly page: Page) {
    page.on("console", (message) => this.troubles.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.troubles.push(`uncaught: ${error.message}`));
    page.on("requestfailed", (request) => this.troubles.push(`request failed: ${request.url()}`));
    page.on("request", (request) => this.hosts.add(new URL(request.url()).hostname));
  }

  static async open(context: BrowserContext): Promise<Tab> {
    return new Tab(await context.newPage());
  }

  /** From the link over the provider's login to its question. */
  async openConsent(authUrl: string): Promise<void> {
    await this.page.goto(authUrl);
    await expectTitle(this.page, "Sign in");
    await this.page.click("#continue");
    await expectTitle(this.page, "Allow access?");
  }
}

/** Waits for a page of that title; the heading of every page here says the same. */
async function expectTitle(page: Page, title: string): Promise<void> {
  await page.getByRole("heading", { name: title, exact: true }).waitFor({ timeout: 30_000 });
  await page.waitForLoadState("load");
  expect(await page.title()).toBe(title);
}

/** A page of the browser listener: styled by its own stylesheet, and nothing in it can run. */
async function expectPlainPage(page: Page, forms = 0): Promise<void> {
  expect(await page.locator("script, iframe").count()).toBe(0);
  expect(await page.locator("form").count()).toBe(forms);
  expect(await page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius")).toBe("16px");
}

describe("a person in Chromium", () => {
  const chromium = browser();
  let context: BrowserContext;
  const world = perTest(() => World.make());
  let connectionId: string;
  let authUrl: string;

  beforeEach(async () => {
    context = await chromium.newContext();
    const providerId = await world.register();
    ({ connectionId, authUrl } = await world.clients.connections.requestConnection(requestOf(providerId)));
  });

  const readConnection = async () =>
    (await world.clients.connections.getConnection({ connectionId })).connection;

  it("consents, and is told that it is done", async () => {
    const tab = await Tab.open(context);
    await tab.openConsent(authUrl);
    const [cookie, ...others] = await context.cookies(world.place.config.publicUrl);
    expect(others.filter(({ name }) => name.startsWith("nexus-"))).toEqual([]);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax", path: "/", secure: false });
    expect(cookie?.name).toMatch(/^nexus-/);
    expect(authUrl).not.toContain(cookie?.value);

    await tab.page.click("#allow");
    await expectTitle(tab.page, "Connected");
    expect(await tab.page.textContent("main")).toContain("Your account at op is connected.");
    expect(await tab.page.textContent("main")).toContain("The account is ada.");
    await expectPlainPage(tab.page);
    expect(tab.troubles).toEqual([]);
    expect([...tab.hosts].sort()).toEqual(["127.0.0.1", "localhost"]);
    expect(await context.cookies(world.place.config.publicUrl)).toEqual([]);

    const { token } = await world.clients.tokens.getToken({ connectionId });
    expect(token?.revision).toBe(1n);
    const headers = { authorization: `Bearer ${token?.credentials["access_token"]}` };
    expect((await fetch(world.provider.userinfoEndpoint, { headers })).status).toBe(200);
  });

  it("sees the scopes that an API asked for before the provider asks, and gives them", async () => {
    const tab = await Tab.open(context);
    await tab.openConsent(authUrl);
    await tab.page.click("#allow");
    await expectTitle(tab.page, "Connected");
    const report = () =>
      world.clients.tokens.reportRejectedToken({
        connectionId,
        revision: 1n,
        status: 403,
        wwwAuthenticate: 'Bearer error="insufficient_scope", scope="read <script>alert(1)</script>"',
      });
    await tab.page.goto((await report()).consent?.authUrl ?? "no link");
    await expectTitle(tab.page, "Allow more access?");
    await tab.page.click("#decline");
    await expectTitle(tab.page, "Nothing was changed");
    await expectPlainPage(tab.page);
    await tab.page.goto((await report()).consent?.authUrl ?? "no link");
    await expectTitle(tab.page, "Allow more access?");
    await expectPlainPage(tab.page, 1);
    expect(await tab.page.locator(".scopes li").allTextContents()).toEqual([
      "read",
      "<script>alert(1)</script>",
      "openid",
      "email",
    ]);
    const button = tab.page.locator("#to-provider");
    expect(await button.textContent()).toBe("Continue to op");
    expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(44);
    await button.click();
    await expectTitle(tab.page, "Allow access?");
    await tab.page.click("#allow");
    await expectTitle(tab.page, "Connected");
    expect(tab.troubles).toEqual([]);
    expect((await world.clients.tokens.getToken({ connectionId })).token).toMatchObject({
      revision: 2n,
      grantedScopes: expect.arrayContaining(["read"]),
    });
  });

  it("says no, and is told that nothing was connected", async () => {
    const tab = await Tab.open(context);
    await tab.openConsent(authUrl);
    await tab.page.click("#deny");
    await expectTitle(tab.page, "Not connected");
    expect(await tab.page.textContent("main")).toContain("You said no");
    await expectPlainPage(tab.page);

    expect(await readConnection()).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: { reason: "access_denied" },
    });
    await expect(world.clients.tokens.getToken({ connectionId })).rejects.toSatisfy(
      (error) => ConnectError.from(error).code === Code.FailedPrecondition,
    );
  });

  it("cannot be made to finish what another browser began", async () => {
    const isCallback = (url: string) => url.startsWith(world.place.config.redirectUri);
    const { url: callback } = await consent(new HttpBrowser(), authUrl, "allow", isCallback);

    const tab = await Tab.open(context);
    const answer = await tab.page.goto(callback);
    expect(answer?.status()).toBe(400);
    await expectTitle(tab.page, "Not connected");
    expect(await tab.page.textContent("main")).toContain("not the browser in which you opened the link");
    await expectPlainPage(tab.page);

    expect(await readConnection()).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: { reason: "state_verification_failed" },
    });
    expect(world.provider.tokenRequests).toEqual([]);
  });
});
