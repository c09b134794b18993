import { randomBytes } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";
import { fleetService } from "../../../../src/ext/fleet/calls/fleet_service.js";
import { fleetListener } from "../../../../src/ext/fleet/link/fleet_listener.js";
import { HubChannel } from "../../../../src/ext/fleet/link/hub_channel.js";
import { defaultLimits } from "../../../../src/model/limits.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Descriptors } from "../../../../src/server/kit.js";
import { Vault } from "../../../../src/vault/vault.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { loopback } from "../../../server/temporary.js";
import { silentLog } from "../../../silent_log.js";

const keepAlive = { pingIntervalMs: 500, pingTimeoutMs: 500, idleConnectionTimeoutMs: 300_000 };

/** A hub that never answers what it is asked, behind a link. */
async function aLink(keys: Vault, asked: () => void): Promise<TcpProxy> {
  const listener = fleetListener({
    listen: loopback,
    service: fleetService({
      isLeader: () => true,
      services: [],
      refresh: () => new Promise(() => undefined),
      page: () => {
        asked();
        return new Promise(() => undefined);
      },
      hold: async () => ({ approver: "key:boss" }),
      takeBack: () => undefined,
      appendAudit: async () => 0n,
      reach: async () => ({ mayLead: true, reached: true, clockMs: 0, writeTrouble: "" }),
      position: () => 0n,
    }),
    keys,
    limits: defaultLimits,
    descriptors: new Descriptors(undefined),
    onUnexpected: () => undefined,
    clock: new SystemClock(),
    log: silentLog,
  });
  await listener.open();
  const [bound] = listener.addresses;
  const link = await TcpProxy.tcp(bound?.kind === "tcp" ? bound.port : 0);
  onTestFinished(async () => {
    await link.close();
    await listener.close(AbortSignal.abort());
  });
  return link;
}

test("a call in the moment in which a link that went dead is given up ends as a call, and the process goes on", async () => {
  const keys = new Vault([randomBytes(32)]);
  const asked = vi.fn();
  const link = await aLink(keys, asked);
  const channel = new HubChannel(`127.0.0.1:${link.port}`, keys, keepAlive);
  onTestFinished(() => channel.close());
  const client = await channel.open();
  const answer = client.page({ method: "GET", target: "/" });
  answer.catch(() => undefined);
  await expect.poll(() => asked.mock.calls.length).toBe(1);
  link.halfOpen();

  await expect(answer).rejects.toThrow("PING timed out");
  const again = channel.open();
  link.heal();
  await expect(again).resolves.toBeDefined();
  expect(link.connections).toBe(2);
});
