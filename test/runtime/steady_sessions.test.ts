import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { steady } from "../../src/runtime/steady_sessions.js";
import { TcpProxy } from "../fakes/tcp_proxy.js";

const pings = { pingIntervalMs: 30_000, pingTimeoutMs: 1_500 };

/** The begin of a frame (RFC 9113 section 6.7). */
const ping = "\0\0\x08\x06";

/** So much that the manager asks with a ping whether a connection is still there, before it sends a call. */
function passTime(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * pings.pingIntervalMs });
}

/** A server that answers each request at once, but for `/held`, behind a link. */
async function aLink() {
  const server = createServer();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    if (headers[":path"] !== "/held") stream.respond({ ":status": 204 }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = await TcpProxy.tcp((server.address() as AddressInfo).port);
  const sessions = steady(new Http2SessionManager(`http://127.0.0.1:${link.port}`, pings), pings);
  onTestFinished(async () => {
    sessions.abort();
    await link.close();
    server.close();
  });
  const answer = async (): Promise<unknown> => {
    const stream = await sessions.request("GET", "/", {}, {});
    stream.on("error", () => undefined).resume();
    const [headers] = await once(stream, "response");
    return headers[":status"];
  };
  expect(await answer()).toBe(204);
  passTime();
  return { link, sessions, answer };
}

afterEach(() => void vi.useRealTimers());

describe("steady sessions", () => {
  it("go on over another connection when the one that is asked about ends without an error", async () => {
    const { link, answer } = await aLink();
    const question = link.hold(ping, "request");
    const answers = [answer(), answer()];
    await question.reached;
    link.reset();
    expect(await Promise.all(answers)).toEqual([204, 204]);
    passTime();
    expect(await answer()).toBe(204);
    expect(link.connections).toBe(2);
  });

  it("answer a call that begins while another finds that the link is dead, over the same connection", async () => {
    const { link, sessions, answer } = await aLink();
    const held = await sessions.request("GET", "/held", {}, {});
    held.on("error", () => undefined);
    passTime();
    const question = link.hold(ping, "request");
    const first = answer();
    await question.reached;
    // The session is destroyed, and has not told its error.
    await new Promise((resolve) => held.once("close", resolve));
    expect(await Promise.all([answer(), first])).toEqual([204, 204]);
    expect(link.connections).toBe(2);
  });

  it("give up a link that went dead though its last call ends while it is asked about", async () => {
    const { link, sessions, answer } = await aLink();
    const last = await sessions.request("GET", "/held", {}, {});
    last.on("error", () => undefined);
    passTime();
    const question = link.hold(ping, "request");
    const answered = answer();
    await question.reached;
    last.close();
    expect(await answered).toBe(204);
    expect(link.connections).toBe(2);
  });
});
