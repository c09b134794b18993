import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../browser_fixture.js";
import { registered, requestOf } from "../daemon/requests.js";
import { ScriptedWorld } from "../daemon/scripted_world.js";
import { freePort } from "../free_port.js";

const hostile = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">call +1 555 0100`;

describe("the browser that calls us: in Chromium", () => {
  const chromium = browser();
  let world: ScriptedWorld;
  let providerId: string;
  let applicationPort: number;
  beforeAll(async () => {
    applicationPort = await freePort();
    world = await ScriptedWorld.make({
      NEXUS_ALLOWED_RETURN_URLS: `http://127.0.0.1:${applicationPort}`,
    });
    providerId = await world.register({ name: "acme" });
  });
  afterAll(() => world?.close());

  const requested = (provider = providerId, more: { returnUrl?: string } = {}) =>
    world.clients.connections.requestConnection(requestOf(provider, more));
  const tab = async () => (await chromium.newContext()).newPage();
  /** The provider answers with an error and a text of its own. */
  const refuseWith = (error: string) => {
    const { script } = world.provider;
    onTestFinished(() => {
      world.provider.script = script;
    });
    world.provider.script = (response, { path }) => {
      const asked = new URL(path, world.provider.origin).searchParams;
      const back = new URL(asked.get("redirect_uri") ?? "");
      back.searchParams.set("state", asked.get("state") ?? "");
      back.searchParams.set("error", error);
      back.searchParams.set("error_description", hostile);
      back.searchParams.set("error_uri", `javascript:alert("${hostile}")`);
      response.writeHead(302, { location: back.href }).end();
    };
  };

  test.each(["access_denied", "temporarily_unavailable", hostile])(
    "a hostile provider that answers %j shows and runs nothing",
    async (error) => {
      refuseWith(error);
      const page = await tab();
      const dialogs: string[] = [];
      page.on("dialog", (dialog) => void dialogs.push(dialog.message()));
      const { authUrl } = await requested();
      await page.goto(authUrl);
      expect(await page.title()).toBe("Not connected");
      const text = (await page.textContent("body")) ?? "";
      expect(text).not.toContain("call +1 555 0100");
      expect(text).not.toContain("script");
      expect(await page.locator("script, img, iframe, form, a").count()).toBe(0);
      expect(await page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius")).toBe(
        "16px",
      );
      expect(dialogs).toEqual([]);
    },
  );

  test("the page that says it is done can be loaded again, and the code has left the address bar", async () => {
    const page = await tab();
    const { authUrl } = await requested();
    await page.goto(authUrl);
    expect(await page.title()).toBe("Connected");
    expect(new URL(page.url()).pathname).toBe("/auth/done");
    const answer = await page.reload();
    expect(answer?.status()).toBe(200);
    expect(await page.textContent("main")).toContain("Your account at acme is connected.");
    expect(page.url()).not.toMatch(/code=|state=/);
  });

  test("no site can show our pages in a frame, nor start a consent by a picture", async () => {
    const { authUrl } = await requested();
    const html = `<!doctype html><title>foreign</title><iframe src="${world.place.config.publicUrl}/"></iframe><img src="${authUrl}">`;
    const site = createServer((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(html),
    );
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void site.close());
    const page = await tab();
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
    await page.waitForLoadState("load");
    const inside = page.frames().find((frame) => frame !== page.mainFrame());
    await inside?.waitForURL(/^chrome-error:/, { waitUntil: "commit" });
    expect(inside?.url()).toMatch(/^chrome-error:/);
    expect(await page.context().cookies(world.place.config.publicUrl)).toEqual([]);
  });

  test("a form leads on to the application, wherever that sends the browser next", async () => {
    const last = createServer((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<title>arrived</title>"),
    );
    await new Promise<void>((resolve) => last.listen(0, "127.0.0.1", resolve));
    const lastUrl = `http://127.0.0.1:${(last.address() as AddressInfo).port}/`;
    const application = createServer((_request, response) =>
      response.writeHead(303, { location: lastUrl }).end(),
    );
    await new Promise<void>((resolve) => application.listen(applicationPort, "127.0.0.1", resolve));
    onTestFinished(() => {
      application.close();
      last.close();
    });
    const providerId = await registered(world.clients, {
      name: "keyed",
      authType: AuthType.API_KEY,
      credentialSchema: {
        type: "object",
        title: hostile,
        properties: { api_key: { type: "string", title: hostile } },
        required: ["api_key"],
      },
    });
    const { authUrl } = await requested(providerId, {
      returnUrl: `http://127.0.0.1:${applicationPort}/back`,
    });
    const page = await tab();
    await page.goto(authUrl);
    expect(await page.title()).toBe(hostile);
    expect(await page.locator("img, script").count()).toBe(0);
    await page.fill("input[name=api_key]", "k-1");
    await page.click("button");
    await page.waitForURL(lastUrl);
    expect(await page.title()).toBe("arrived");
  });
});
