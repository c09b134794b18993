import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { daemonAddress } from "../../../clients/typescript/src/daemon_address.js";
import { DaemonConnection } from "../../../clients/typescript/src/daemon_connection.js";
import { TcpProxy } from "../../fakes/tcp_proxy.js";

const pings = { pingIntervalMs: 30_000, pingTimeoutMs: 1_500 };

/** The begin of a frame (RFC 9113 section 6.7). */
const ping = "\0\0\x08\x06";

/** So much that a connection is asked with a ping whether it is still there, before a call is sent on it. */
function passTime(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * pings.pingIntervalMs });
}

/** A client of a daemon that has none of what it is asked for, behind a link. */
async function aLink() {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    const headers = { ":status": 200, "content-type": "application/grpc+proto" };
    stream.respond({ ...headers, "grpc-status": `${Code.NotFound}` }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = await TcpProxy.tcp((server.address() as AddressInfo).port);
  const address = daemonAddress({ address: `http://127.0.0.1:${link.port}`, apiKey: "key" }, {});
  const connection = new DaemonConnection(address, pings);
  onTestFinished(async () => {
    connection.close();
    await link.close();
    server.close();
  });
  return { link, connection };
}

afterEach(() => void vi.useRealTimers());

describe.each(["call", "stream"])("a %s of the client on a link that is silent for long", (kind) => {
  /** The code that the daemon answers. */
  const answer = async ({ calls, streams }: DaemonConnection): Promise<Code> => {
    try {
      if (kind === "call") await calls.acquireToken({ providerName: "op", userId: "ada" });
      else for await (const _ of streams.watchTokens({}));
    } catch (error) {
      return ConnectError.from(error).code;
    }
    throw new Error("it was answered");
  };

  it.each<readonly [string, (link: TcpProxy) => void]>([
    ["is dead", () => undefined],
    ["ends while it is asked about", (link) => link.reset()],
  ])("goes over another one where it %s", async (_how, end) => {
    const { link, connection } = await aLink();
    expect(await answer(connection)).toBe(Code.NotFound);
    passTime();
    const question = link.hold(ping, "request");
    const answers = [answer(connection), answer(connection)];
    await question.reached;
    end(link);
    expect(await Promise.all(answers)).toEqual([Code.NotFound, Code.NotFound]);
    expect(link.connections).toBe(2);
  });

  it("stays on it where it answers", async () => {
    const { link, connection } = await aLink();
    expect(await answer(connection)).toBe(Code.NotFound);
    passTime();
    expect(await answer(connection)).toBe(Code.NotFound);
    expect(link.connections).toBe(1);
  });
});
