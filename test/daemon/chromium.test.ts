import { Code, ConnectError } from "@connectrpc/connect";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../browser_fixture.js";
import { consent, Browser as HttpBrowser } from "../fakes/browser.js";
import { ScriptedApi } from "../fakes/scripted_api.js";
import { perSuite, perTest } from "../lifetimes.js";
import { faultsOf, looks } from "../page_faults.js";
import { registerStatic, requestStatic } from "./capture_world.js";
import { consentVisits, consentWorld, type Visits } from "./consent_pages.js";
import { Place, World } from "./harness.js";
import { requestOf } from "./requests.js";

describe("the pages of a consent", () => {
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
      expect(await tab.page.textContent(".facts")).toContain("Accountada");
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
      expect(await tab.page.locator(".scopes code").allTextContents()).toEqual([
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
      expect(await tab.page.textContent("main")).toContain("You or the provider declined");
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
});

describe("the form", () => {
  /** Where screenshots are put; none are made when it is unset. */
  const shots = process.env["NEXUS_TEST_SHOTS"];

  /** Not one word of Chromium's about a page may be lost: a breach of the policy is such a word. */
  function troublesOf(page: Page): string[] {
    const troubles: string[] = [];
    page.on("console", (message) => void troubles.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => void troubles.push(`uncaught: ${error.message}`));
    page.on("requestfailed", (request) => void troubles.push(`request failed: ${request.url()}`));
    return troubles;
  }

  /** The answer to a form with errors; Chromium notes the status of every page that is no success. */
  const statusNote = /^error: Failed to load resource: the server responded with a status of (422|503)/;

  const custom = {
    type: "object",
    title: "Connect your Acme account",
    description:
      "You find these values in Acme under Settings, API access.\nOnly an owner of the account can see them.",
    properties: {
      api_key: {
        type: "string",
        title: "API key",
        description: "Begins with sk-.",
        pattern: "^sk-[a-z0-9]{4,}$",
      },
      region: { type: "string", title: "Region", enum: ["eu-west", "us-east"] },
      account: { type: "string", title: "Account", description: "Number or name.", default: "main" },
      mail: { type: "string", title: "E-mail for alerts", format: "email" },
      api_version: { const: "2026-01", title: "API version" },
    },
    required: ["api_key", "region", "account"],
  };

  describe("a person in Chromium who enters a key", () => {
    const chromium = browser();
    const app = perSuite(() => ScriptedApi.start());
    const world = perSuite(async () =>
      World.make({}, await Place.make({ NEXUS_ALLOWED_RETURN_URLS: app.origin })),
    );
    let providerId: string;

    beforeAll(async () => {
      providerId = await registerStatic(world, { name: "acme", credentialSchema: custom });
    });

    const open = async (options: BrowserContextOptions = {}, more: { returnUrl?: string } = {}) => {
      const context = await chromium.newContext(options);
      const page = await context.newPage();
      const troubles = troublesOf(page);
      const { authUrl, connectionId } = await requestStatic(world, providerId, more);
      await page.goto(authUrl);
      return { context, page, troubles, connectionId };
    };
    const readToken = async (connectionId: string) =>
      (await world.clients.tokens.getToken({ connectionId })).token;
    const shoot = async (page: Page, name: string): Promise<void> => {
      if (shots !== undefined) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
    };

    it.each([
      ["with JavaScript", true],
      ["without JavaScript", false],
    ])(
      "is told what is wrong beside the field, fixes it and comes back %s",
      async (_name, javaScriptEnabled) => {
        const returnUrl = `${app.origin}/back?tab=1`;
        const { page, troubles, connectionId, context } = await open({ javaScriptEnabled }, { returnUrl });
        expect(await page.title()).toBe("Connect your Acme account");
        await page.getByLabel("API key").fill("wrong");
        await page.getByLabel("Account").fill("a&b");
        await page.getByLabel("Region").selectOption("us-east");
        await page.getByRole("button", { name: "Connect" }).click();

        await expect.poll(() => page.title()).toBe("Error: Connect your Acme account");
        const key = page.getByLabel("API key");
        expect(await key.getAttribute("aria-invalid")).toBe("true");
        expect(await key.inputValue()).toBe("");
        const described = (await key.getAttribute("aria-describedby"))?.split(" ") ?? [];
        const notes = await Promise.all(described.map((id) => page.locator(`[id="${id}"]`).textContent()));
        expect(notes.join(" ")).toContain("API key must have the form");
        const [violation, input] = await Promise.all([
          page.locator("#field-0-error").boundingBox(),
          key.boundingBox(),
        ]);
        expect((input?.y ?? 0) - ((violation?.y ?? 0) + (violation?.height ?? 0))).toBeLessThan(16);
        expect(await page.getByLabel("Account").inputValue()).toBe("a&b");
        expect(await page.getByLabel("Region").inputValue()).toBe("us-east");
        expect(await page.getByRole("alert").textContent()).toContain("API key must have the form");

        await page.getByRole("link", { name: /API key must have the form/ }).click();
        expect(await page.locator("*:focus").getAttribute("id")).toBe("field-0");
        await key.fill("sk-abcd");
        app.calls.length = 0;
        await Promise.all([page.waitForURL(`${app.origin}/**`), key.press("Enter")]);
        expect(page.url()).toBe(`${returnUrl}&status=success&connection_id=${connectionId}&provider=acme`);
        expect(app.calls[0]?.headers.referer).toBeUndefined();
        expect((await readToken(connectionId))?.credentials).toEqual({
          api_key: "sk-abcd",
          account: "a&b",
          region: "us-east",
          api_version: "2026-01",
        });
        expect(await context.cookies(world.place.config.publicUrl)).toEqual([]);
        expect(
          troubles.filter((trouble) => !statusNote.test(trouble) && !trouble.includes("favicon")),
        ).toEqual([]);
      },
    );

    it("comes back to an application that sends the browser on", async () => {
      const { page, troubles } = await open({}, { returnUrl: `${app.origin}/back` });
      const leaderPage = app.origin.replace("127.0.0.1", "localhost");
      app.answer = (response, { target }) => {
        if (target.startsWith("/back")) response.writeHead(302, { location: `${leaderPage}/on` }).end();
        else response.end("here");
      };
      onTestFinished(() => {
        app.answer = 200;
      });
      await page.getByLabel("API key").fill("sk-abcd");
      await page.getByLabel("Region").selectOption("us-east");
      await Promise.all([
        page.waitForURL(`${leaderPage}/on`, { timeout: 30_000 }),
        page.keyboard.press("Enter"),
      ]);
      expect(troubles).toEqual([]);
    });

    it("needs a keyboard and nothing else", async () => {
      const { page, troubles, connectionId } = await open();
      const focused = (): Promise<string | null> => page.locator("*:focus").getAttribute("name");
      expect(await focused()).toBe("api_key");
      await page.keyboard.type("sk-keys1");
      const order: (string | null)[] = [];
      for (let each = 0; each < 4; each += 1) {
        await page.keyboard.press("Tab");
        order.push(await focused());
        if (order.at(-1) === "region") await page.keyboard.type("eu");
      }
      expect(order).toEqual(["region", "account", "mail", "api_version"]);
      await page.keyboard.press("Tab");
      expect(await page.locator("*:focus").textContent()).toBe("Connect");
      await Promise.all([page.waitForURL(/auth\/capture/), page.keyboard.press("Enter")]);
      await expect.poll(() => page.title()).toBe("Connected");
      expect((await readToken(connectionId))?.credentials["region"]).toBe("eu-west");
      expect(troubles).toEqual([]);
    });

    it.each<[string, BrowserContextOptions]>([
      ["light", { colorScheme: "light", viewport: { width: 1280, height: 900 } }],
      ["dark", { colorScheme: "dark", viewport: { width: 1280, height: 900 } }],
      [
        "phone",
        { colorScheme: "light", viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
      ],
      [
        "phone-dark",
        { colorScheme: "dark", viewport: { width: 320, height: 600 }, isMobile: true, hasTouch: true },
      ],
    ])("can read it: %s", async (name, options) => {
      const { page, troubles } = await open(options);
      await shoot(page, `${name}-form`);
      await page.getByLabel("API key").fill("wrong");
      await page.getByLabel("E-mail").fill("nobody");
      await page.getByRole("button", { name: "Connect" }).click();
      await expect.poll(() => page.title()).toMatch(/^Error/);
      await shoot(page, `${name}-errors`);
      const tooWide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
      expect(await page.evaluate(tooWide)).toBe(false);
      const heights =
        "[...document.querySelectorAll('input:not([type=hidden]), select, button')].map((e) => e.offsetHeight)";
      expect(Math.min(...((await page.evaluate(heights)) as number[]))).toBeGreaterThanOrEqual(44);
      expect(await page.evaluate(contrasts)).toEqual([]);
      expect(troubles.filter((trouble) => !statusNote.test(trouble))).toEqual([]);
    });

    it("is not harmed by a hostile schema", async () => {
      const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e`;
      const long = "W".repeat(3_000);
      const id = await registerStatic(world, {
        name: "hostile",
        authType: AuthType.API_KEY,
        credentialSchema: {
          type: "object",
          title: evil,
          description: evil + long,
          properties: {
            api_key: { type: "string", title: evil + long, description: evil },
            [evil]: { type: "string", default: evil },
            choice: { enum: [evil, long] },
          },
          required: ["api_key"],
        },
      });
      const context = await chromium.newContext({ viewport: { width: 360, height: 740 } });
      const page = await context.newPage();
      const troubles = troublesOf(page);
      const { authUrl, connectionId } = await requestStatic(world, id);
      await page.goto(authUrl);
      expect(await page.locator("script, img").count()).toBe(0);
      expect(await page.locator(`input[name=${JSON.stringify(evil)}]`).inputValue()).toBe(evil);
      const tooWide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
      expect(await page.evaluate(tooWide)).toBe(false);
      await shoot(page, "hostile");
      await page.locator('input[name="api_key"]').fill("k");
      await page.getByRole("button", { name: "Connect" }).click();
      await expect.poll(() => page.title()).toBe("Connected");
      expect((await readToken(connectionId))?.credentials[evil]).toBe(evil);
      expect(troubles).toEqual([]);
    });

    it("cannot be made to send it elsewhere", async () => {
      const { page, connectionId } = await open();
      const broken: string[] = [];
      page.on("console", (message) => void broken.push(message.text()));
      await page.evaluate("document.forms[0].action = 'http://127.0.0.1:1/steal'");
      await page.getByLabel("API key").fill("sk-abcd");
      // A click would wait for the page that is never loaded.
      await page.evaluate("document.querySelector('button').click()");
      await expect.poll(() => broken.join(" ")).toContain("form-action");
      const { connection } = await world.clients.connections.getConnection({ connectionId });
      expect(connection?.status).toBe(ConnectionStatus.PENDING);
    });
  });

  /** Texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3), by their own colour and the nearest ground. */
  const contrasts = `(() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("h1, h2, p, label, input, select, button, a, span")].flatMap((element) => {
    const pair = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    return ratio < 4.5 ? [element.tagName + " " + element.className + " " + ratio.toFixed(2)] : [];
  });
})()`;
});

describe("accessibility", () => {
  describe("the pages of a consent", () => {
    const chromium = browser();
    const world = perSuite(consentWorld);
    let visits: Visits;
    beforeAll(async () => {
      visits = await consentVisits(world);
    });

    it.each(Object.entries(looks))(
      "are well formed for everybody: %s",
      async (_look, options) => {
        const context = await chromium.newContext(options);
        const page = await context.newPage();
        for (const [word, visit] of Object.entries(visits)) {
          await visit(page);
          expect([word, await faultsOf(page)]).toEqual([word, []]);
          expect([word, await page.title()]).not.toEqual([word, "owned"]);
        }
      },
      150_000,
    );
  });
});
