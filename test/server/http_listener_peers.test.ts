import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { edgePolicy } from "../../src/model/edge_policy.js";
import { apiKey } from "./fake_services.js";
import { connectTo, getTokenPath, json, openListener, withKey } from "./http_listener_fixture.js";

/** Sends bytes, and reads until the listener has answered something that matches or closed. */
async function raw(port: number, bytes: string | Buffer, until: RegExp): Promise<string> {
  const socket = connectTo(port);
  socket.write(bytes);
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    if (until.test(text)) break;
  }
  socket.destroy();
  return text;
}

describe("malformed requests are answered and end nothing", () => {
  const call = (line: string, ...fields: string[]) =>
    [line, ...fields, "content-length: 2", "", "{}"].join("\r\n");
  const post = `POST ${getTokenPath} HTTP/1.1`;
  test.each([
    ["a host with a space", call(post, "host: a b", "content-type: application/json"), 400],
    ["a host that is no host", call(post, "host: :::", "content-type: application/json"), 400],
    ["two hosts", call(post, "host: x", "host: y", "content-type: application/json"), 400],
    ["no host in HTTP/1.1", call(post, "content-type: application/json"), 400],
    ["no host in HTTP/1.0", call(`POST ${getTokenPath} HTTP/1.0`, "content-type: application/json"), 400],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400],
    ["almost the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", 400],
    ["a target in absolute form", call(`POST http://x${getTokenPath} HTTP/1.1`, "host: x"), 404],
    ["a target that is no path", call("POST :::: HTTP/1.1", "host: x"), 400],
    ["headers above the limit", call(post, "host: x", `x: ${"y".repeat(20_000)}`), 431],
    [
      "JSON that is none",
      call(post, "host: x", `x-api-key: ${apiKey}`, "content-type: application/json").replace("{}", "{]"),
      400,
    ],
    ["a type that nobody speaks", call(post, "host: x", "content-type: text/html"), 415],
    ["a method that nobody uses", call(`DELETE ${getTokenPath} HTTP/1.1`, "host: x"), 405],
  ])("%s", async (_what, bytes, status) => {
    const { base, port, fake } = await openListener();
    expect(await raw(port, bytes, /^HTTP\/1\.1 \d{3} /)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const good = await fetch(base + getTokenPath, {
      method: "POST",
      headers: { ...json, "x-api-key": apiKey },
      body: "{}",
    });
    expect(good.status).toBe(200);
    expect(fake.unexpected).toEqual([]);
  });

  test("a browser's path is told to be the browser listener's", async () => {
    const { base } = await openListener();
    const response = await fetch(`${base}/auth/callback?state=x&code=y`);
    expect(response.status).toBe(404);
    const { message } = (await response.json()) as { message: string };
    expect(message).toContain("NEXUS_BROWSER_LISTEN");
  });

  test.each(["/nothing", getTokenPath])(
    "a transfer coding that nobody knows is answered once, and the connection closed, at %s",
    async (path) => {
      const { port, fake } = await openListener();
      const fields = `host: x\r\nx-api-key: ${apiKey}\r\ncontent-type: application/json`;
      const bytes = `POST ${path} HTTP/1.1\r\n${fields}\r\ntransfer-encoding: xchunked\r\n\r\n{}`;
      const text = await raw(port, bytes, /never/);
      expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(["HTTP/1.1 400"]);
      expect(fake.unexpected).toEqual([]);
    },
  );

  test.each([
    [undefined, "GetToken", 'has no content-type: send JSON with "content-type: application/json"'],
    ["application/x-www-form-urlencoded", "GetToken", "that no RPC is sent with: send JSON with"],
    ["text/json", "WatchTokens", "application/connect+json"],
  ])("says which content type a call needs, sent as %s", async (type, method, words) => {
    const { base } = await openListener();
    const headers = { "x-api-key": apiKey, ...(type === undefined ? {} : { "content-type": type }) };
    const body = new Blob(["{}"]);
    const answer = await fetch(`${base}/nexus.v1.TokenService/${method}`, { method: "POST", headers, body });
    expect(answer.status).toBe(415);
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await answer.text()).toContain(words);
  });

  test("an :authority that is no host", async () => {
    const { base, fake } = await openListener();
    const session = connectHttp2(base);
    onTestFinished(() => session.destroy());
    const request = (authority: string) => {
      const headers = {
        ":method": "POST",
        ":path": getTokenPath,
        ":authority": authority,
        ...json,
        "x-api-key": apiKey,
      };
      const stream = session.request(headers);
      stream.resume().end("{}");
      return once(stream, "response") as Promise<[Record<string, unknown>]>;
    };
    expect((await request(":::"))[0][":status"]).toBe(400);
    expect((await request("x"))[0][":status"]).toBe(200);
    expect(fake.unexpected).toEqual([]);
  });

  test("garbage after the preface of HTTP/2", async () => {
    const { base, port, fake } = await openListener();
    await raw(port, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\xff".repeat(100)}`, /never/);
    const session = connectHttp2(base);
    onTestFinished(() => session.destroy());
    await once(session, "connect");
    expect(session.closed).toBe(false);
    expect(fake.unexpected).toEqual([]);
  });
});

describe("silent and dead peers", () => {
  test("a connection that says nothing is dropped", async () => {
    const { port, clock } = await openListener();
    const socket = connectTo(port);
    await once(socket, "connect");
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(edgePolicy.sockets.silenceMs);
    await once(socket.resume(), "close");
    expect(socket.bytesRead).toBe(0);
  });

  test("a preface byte by byte is still HTTP/2, a request byte by byte still HTTP/1.1", async () => {
    const { port } = await openListener();
    for (const [bytes, answer] of [
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", /^[^H]/],
      ["PUT / HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1\.1 404/],
    ] as const) {
      const socket = connectTo(port).setNoDelay();
      await once(socket, "connect");
      for (const byte of bytes) await new Promise((resolve) => socket.write(byte, "latin1", resolve));
      const [chunk] = (await once(socket, "data")) as [Buffer];
      expect(chunk.toString("latin1")).toMatch(answer);
    }
  });

  test("a session that answers no ping is ended, one that does lives on", async () => {
    const { port, base, clock } = await openListener();
    const dead = connectTo(port);
    dead.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    await once(dead, "data");
    const alive = connectHttp2(base);
    onTestFinished(() => alive.destroy());
    await once(alive, "remoteSettings");
    await expect.poll(() => clock.pending).toBe(2);
    const pinged = once(alive, "ping");
    clock.advance(edgePolicy.sessions.pingIntervalMs);
    await pinged;
    const rtt = new Promise((resolve) => alive.ping(resolve));
    await rtt;
    clock.advance(edgePolicy.sessions.pingTimeoutMs);
    await once(dead.resume(), "close");
    expect(alive.destroyed).toBe(false);
  });

  test.each(["1.1", "2"] as const)(
    "a reader over HTTP/%s that does not read holds the source back and frees it",
    async (version) => {
      const { base, port, fake } = await openListener();
      const frame = Buffer.from('\0\0\0\0\x12{"userId":"flood"}', "latin1");
      const fields = { "content-type": "application/connect+json", "x-api-key": apiKey };
      const path = "/nexus.v1.TokenService/WatchTokens";
      let leave: () => void;
      if (version === "1.1") {
        const socket = connectTo(port).pause();
        const head = Object.entries({ host: "x", ...fields, "content-length": frame.length });
        socket.write(
          `POST ${path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
        );
        socket.write(frame);
        leave = () => socket.destroy();
      } else {
        const session = connectHttp2(base);
        onTestFinished(() => session.destroy());
        const stream = session.request({ ":method": "POST", ":path": path, ...fields });
        stream.on("error", () => undefined);
        stream.pause().end(frame);
        leave = () => stream.close(8);
      }
      const settle = async () => {
        const client = createClient(
          TokenService,
          createConnectTransport({ baseUrl: base, httpVersion: "1.1", interceptors: [withKey] }),
        );
        for (let round = 0; round < 100; round++) await client.getToken({ connectionId: "a" });
        return fake.flooded;
      };
      const held = await settle();
      expect(held).toBeGreaterThan(0);
      // Loopback sockets buffer a few megabytes in the kernel.
      expect(held).toBeLessThan(200);
      expect(await settle()).toBe(held);
      const returned = fake.next("returned");
      leave();
      await returned;
    },
  );
});
