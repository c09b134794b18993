import { setTimeout as sleep } from "node:timers/promises";
import { requestOf } from "../test/daemon/requests.js";
import type { RealFleet } from "../test/ext/fleet/real/real_fleet.js";
import type { RealHub } from "../test/ext/fleet/real/real_hub.js";
import { boundFigure, type Figure, median } from "./figure.js";

const awayMs = 3_000;
const patienceMs = 180_000;

/** How long a write waits when its leader is killed, when it ends, and when the database comes back. */
export async function fleetGapFigures(
  fleet: RealFleet,
  { rounds, leaseSeconds }: { readonly rounds: number; readonly leaseSeconds: number },
): Promise<Figure[]> {
  const taken = { killed: [] as number[], ended: [] as number[], back: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    taken.killed.push(await afterSignal(fleet, "SIGKILL"));
    taken.ended.push(await afterSignal(fleet, "SIGTERM"));
    taken.back.push(await afterOutage(fleet));
  }
  return [
    boundFigure({
      name: `a write after SIGKILL of the leader, lease of ${leaseSeconds} s`,
      unit: "s",
      value: median(taken.killed),
      atMost: leaseSeconds + 3,
    }),
    boundFigure({
      name: "a write after SIGTERM of the leader",
      unit: "s",
      value: median(taken.ended),
      atMost: 1,
    }),
    boundFigure({
      name: "a write after the database is back",
      unit: "s",
      value: median(taken.back),
      atMost: 2,
    }),
  ];
}

async function afterSignal(fleet: RealFleet, signal: "SIGKILL" | "SIGTERM"): Promise<number> {
  const [leader, follower] = await settled(fleet);
  const startedMs = performance.now();
  leader.signal(signal);
  await written(follower);
  return (performance.now() - startedMs) / 1_000;
}

async function afterOutage(fleet: RealFleet): Promise<number> {
  const [, follower] = await settled(fleet);
  const { primary } = fleet.servers;
  primary.kill();
  await sleep(awayMs);
  await primary.start();
  const backMs = performance.now();
  await written(follower);
  return (performance.now() - backMs) / 1_000;
}

/** A connection that is made at a follower. What fails is tried again, as a caller does. */
async function written({ clients }: RealHub): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    try {
      await clients.connections.requestConnection(requestOf("live"), { timeoutMs: 15_000 });
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(20);
    }
  }
}

/** All hubs run, one leads, and has for as long as makes another one wait after an outage of the database. */
export async function settled({ hubs }: RealFleet): Promise<[leader: RealHub, follower: RealHub]> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const answering = await Promise.all(hubs.map((hub) => hub.leaderAddress()));
    const leader = hubs.find(({ isLeader }) => isLeader);
    const follower = hubs.find((hub) => hub !== leader);
    if (leader && follower && new Set(answering).size === 1) {
      await sleep(6_000);
      return [leader, follower];
    }
    if (performance.now() > untilMs) throw new Error("no hub leads");
    await sleep(100);
  }
}
