import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { connectDaemon, type DaemonClient } from "../../../src/cli/shell/client.js";
import { Secret } from "../../../src/runtime/secret.js";
import { TcpProxy } from "../../fakes/tcp_proxy.js";
import { FakeDaemon } from "../fake_daemon.js";

const pings = { pingIntervalMs: 300, pingTimeoutMs: 300 };

/** A daemon that never answers who one is, behind a link. */
async function aLink(asked: () => void): Promise<{ readonly link: TcpProxy; readonly daemon: DaemonClient }> {
  const fake = new FakeDaemon();
  fake.api.access = {
    whoAmI: () => {
      asked();
      return new Promise(() => undefined);
    },
  };
  const link = await TcpProxy.tcp(await fake.start("tcp"));
  const apiKey = { source: "environment", key: new Secret("key") } as const;
  const tls = { caFile: undefined, certificate: undefined };
  const config = { kind: "tcp", url: `http://127.0.0.1:${link.port}`, apiKey, tls } as const;
  const daemon = connectDaemon(config, () => undefined, undefined, pings);
  onTestFinished(async () => {
    daemon.close();
    await link.close();
    await fake.stop();
  });
  return { link, daemon };
}

describe("connectDaemon", () => {
  it("ends a call over a link that went dead as a call, and makes the next one over another connection", async () => {
    const asked = vi.fn();
    const { link, daemon } = await aLink(asked);
    const answer = daemon.access.whoAmI({}, { timeoutMs: 30_000 }).catch(ConnectError.from);
    await expect.poll(() => asked.mock.calls.length).toBe(1);
    link.halfOpen();

    expect(await answer).toMatchObject({ code: Code.Unavailable, rawMessage: "PING timed out" });
    const again = daemon.providers.listProviders({});
    link.heal();
    await expect(again).resolves.toMatchObject({ providers: [] });
    expect(link.connections).toBe(2);
  });
});
