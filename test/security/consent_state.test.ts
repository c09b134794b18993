import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { storeFileName } from "../../src/store/store.js";
import { Place, World } from "../daemon/harness.js";
import { requestOf } from "../daemon/requests.js";
import { Browser, consent } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { cookiesOf, visit } from "./visitor.js";

describe("the browser that calls us: state", () => {
  const world = perSuite(() => World.make());
  beforeAll(async () => {
    await world.register();
  });

  const request = () => world.clients.connections.requestConnection(requestOf("op"));
  const read = async (connectionId: string) =>
    (await world.clients.connections.getConnection({ connectionId })).connection;
  const toCallback = (url: string): boolean => url.startsWith(world.place.config.redirectUri);

  test("a state is its end and 256 random bits, and none comes twice", async () => {
    const states = new Set<string>();
    for (let count = 0; count < 50; count++) {
      const { state } = await request();
      expect(Buffer.from(state, "base64url")).toHaveLength(4 + 32);
      states.add(state.slice(6));
    }
    expect(states.size).toBe(50);
  });

  test("a state is stored as a hash", async () => {
    const { state } = await request();
    const file = readFileSync(join(world.place.config.dataDir, storeFileName));
    expect(file.includes(state)).toBe(false);
    expect(file.includes(Buffer.from(state, "base64url"))).toBe(false);
  });

  test("a state is good for one answer", async () => {
    const { authUrl, connectionId } = await request();
    const browser = new Browser();
    const { url } = await consent(browser, authUrl, "allow", toCallback);
    expect((await browser.get(url)).status).toBe(200);
    const before = world.provider.tokenRequests.length;
    for (const again of [url, `${url}&error=access_denied`, authUrl]) {
      expect((await browser.get(again)).status).toBe(404);
    }
    expect(world.provider.tokenRequests).toHaveLength(before);
    expect(await read(connectionId)).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 1n });
  });

  test("a state lives for ten minutes", async () => {
    const { authUrl, connectionId } = await request();
    const browser = new Browser();
    const { url } = await consent(browser, authUrl, "allow", toCallback);
    const before = world.provider.tokenRequests.length;
    world.clock.advance(10 * 60_000);
    expect((await browser.get(url)).status).toBe(410);
    expect((await browser.get(authUrl)).status).toBe(410);
    expect(world.provider.tokenRequests).toHaveLength(before);
    expect((await read(connectionId))?.revision).toBe(0n);
  });

  test("a state works in the browser that opened the link, and in no other", async () => {
    const { authUrl, connectionId } = await request();
    const { url } = await consent(new Browser(), authUrl, "allow", toCallback);
    const before = world.provider.tokenRequests.length;
    expect((await new Browser().get(url)).status).toBe(400);
    expect(world.provider.tokenRequests).toHaveLength(before);
    expect(await read(connectionId)).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: { reason: "state_verification_failed" },
    });
  });

  test("an answer with a parameter twice is refused", async () => {
    const { authUrl } = await request();
    const browser = new Browser();
    const { url } = await consent(browser, authUrl, "allow", toCallback);
    const before = world.provider.tokenRequests.length;
    expect((await browser.get(`${url}&code=other`)).status).toBe(400);
    expect(world.provider.tokenRequests).toHaveLength(before);
  });

  test("a cookie binds the browser: plain on loopback http, HttpOnly, SameSite, and never the state", async () => {
    const { authUrl, state } = await request();
    const reply = await visit(authUrl);
    expect(reply.status).toBe(302);
    expect(reply.headers["set-cookie"]).toEqual([
      expect.stringMatching(/^nexus-[0-9a-f]{16}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/),
    ]);
    expect(cookiesOf(reply)).not.toContain(state);
  });

  test("over https the cookie is one that only this host can set", async () => {
    const place = await Place.make({ NEXUS_PUBLIC_URL: "https://nexus.example" });
    const secure = await World.make({}, place);
    try {
      await secure.register();
      const { authUrl } = await secure.clients.connections.requestConnection(requestOf("op"));
      const listen = `http://${place.environment["NEXUS_BROWSER_LISTEN"]}`;
      const reply = await visit(listen + new URL(authUrl).pathname + new URL(authUrl).search, {
        headers: { host: "nexus.example" },
      });
      expect(reply.headers["set-cookie"]).toEqual([
        expect.stringMatching(/^__Host-nexus-[0-9a-f]{16}=[\w-]{43}; Path=\/; .*; Secure$/),
      ]);
    } finally {
      await secure.close();
    }
  });

  test.each([
    ["a prefetch", "GET", { "sec-purpose": "prefetch" }, 503],
    ["a prerender", "GET", { "sec-purpose": "prefetch;prerender" }, 503],
    ["an old prefetch", "GET", { purpose: "prefetch" }, 503],
    ["a prefetch of Firefox", "GET", { "x-moz": "prefetch" }, 503],
    ["a preview of Safari", "GET", { "x-purpose": "preview" }, 503],
    ["a picture of another page", "GET", { "sec-fetch-dest": "image" }, 400],
    ["a frame of another page", "GET", { "sec-fetch-dest": "iframe" }, 400],
    ["HEAD", "HEAD", {}, 200],
    ["POST", "POST", {}, 405],
    ["PUT", "PUT", {}, 405],
    ["TRACE", "TRACE", {}, 405],
    ["OPTIONS", "OPTIONS", {}, 405],
  ])("a state is not consumed by %s", async (_name, method, headers, status) => {
    const { authUrl, connectionId } = await request();
    const browser = new Browser();
    const { url } = await consent(browser, authUrl, "allow", toCallback);
    for (const address of [authUrl, url]) {
      const reply = await visit(address, { method, headers: headers as Record<string, string> });
      expect(reply.status).toBe(status);
      expect(reply.headers["set-cookie"]).toBeUndefined();
      if (method === "TRACE") expect(reply.body).not.toContain(new URL(address).search);
      if (status === 405) expect(reply.headers.allow).toBe("GET, HEAD");
    }
    expect((await browser.get(url)).status).toBe(200);
    expect((await read(connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  test("the page that says it is done can be loaded again, and its address holds no code", async () => {
    const { authUrl, state } = await request();
    const browser = new Browser();
    const page = await consent(browser, authUrl);
    expect(page.status).toBe(200);
    expect(page.body).toContain("Your account at op is connected.");
    expect(new URL(page.url).pathname).toBe("/auth/done");
    expect(page.url).not.toMatch(/code=|state=/);
    expect(page.url).not.toContain(state);
    expect((await browser.get(page.url)).body).toBe(page.body);
    const forged = page.url.replace("provider=op", "provider=your%20bank");
    expect((await browser.get(forged)).body).not.toContain("your bank");
  });
});
