import { once } from "node:events";
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { FleetRole } from "../src/gen/nexus/v1/status_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { requestOf } from "../test/daemon/requests.js";
import { Postgres } from "../test/fakes/postgres.js";
import { freePort } from "../test/free_port.js";
import { start } from "./children.js";
import { type Figure, median } from "./figure.js";
import { type FilledPlace, filledPlace } from "./filled_place.js";
import { refreshedAt } from "./load.js";
import { pgbench, transactionMs } from "./pgbench.js";

const timeoutMs = 120_000;
const providers = ["live"];
/** As many as keep a provider that answers in 20 ms from being the limit. */
const profile = { maxConcurrentRequests: 64 };

/** What a commit costs beyond the embedded store's, how many refreshes a leader makes, and how long writes wait for the next leader. */
export async function fleetFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const due = quick ? 1_000 : 10_000;
  const provider = start("storm_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const dueAtMs = Date.now() + 30_000;
  const source = await filledPlace([{ count: due, dueAtMs }], { origin, providers, profile });
  const alone = await filledPlace([{ count: 1, dueAtMs: Date.now() + 7_200_000 }], { providers });
  const single = new DaemonProcess(alone.place.environment);
  const postgres = await Postgres.start();
  let fleet: Fleet | undefined;
  try {
    fleet = await Fleet.start(postgres, source);
    await single.ready();
    return [
      { name: "refreshes a second at the leader", value: await refreshesPerSecond(fleet, due, dueAtMs) },
      await commitFigure(postgres, fleet, alone.place, quick ? 100 : 500),
      { name: "SIGKILL of the leader to the next write", value: await fleet.writeAfter("SIGKILL") },
      { name: "SIGTERM of the leader to the next write", value: await fleet.writeAfter("SIGTERM") },
    ];
  } finally {
    await single.kill("SIGKILL");
    await fleet?.close();
    await postgres.close();
    provider.disconnect();
    for (const { place } of [source, alone]) rmSync(place.config.dataDir, { recursive: true, force: true });
  }
}

/** From the moment when all are due until the last one is durable. */
async function refreshesPerSecond(fleet: Fleet, due: number, dueAtMs: number): Promise<number> {
  const { leader } = await fleet.settled();
  if (Date.now() > dueAtMs) throw new Error("the fleet was not up in time");
  while (Date.now() < dueAtMs + timeoutMs) {
    const done = await refreshedAt(leader.place.opsUrl, "live");
    if (done >= due) return (done * 1_000) / (Date.now() - dueAtMs);
    await sleep(50);
  }
  throw new Error("not all connections were refreshed in time");
}

/** Requests of a connection, each one commit, in turn at the leader and at a daemon alone. */
async function commitFigure(postgres: Postgres, fleet: Fleet, alone: Place, rounds: number): Promise<Figure> {
  pgbench(postgres, ["-i", "-s", "5", "-q"]);
  const { leader } = await fleet.settled();
  const taken = { leader: [] as number[], alone: [] as number[] };
  const sides = { leader: leader.place.clients(), alone: alone.clients() };
  for (let round = -20; round < rounds; round++) {
    for (const who of ["leader", "alone"] as const) {
      const startedMs = performance.now();
      await sides[who].connections.requestConnection(requestOf("live"));
      if (round >= 0) taken[who].push(performance.now() - startedMs);
    }
  }
  return {
    name: "commit at the leader beyond one of a daemon alone",
    value: median(taken.leader) - median(taken.alone),
    against: { name: "pgbench -N -c 1", value: transactionMs(postgres, 3) },
  };
}

interface Hub {
  readonly place: Place;
  daemon: DaemonProcess;
}

/** Two hubs and their database. */
class Fleet {
  private constructor(private readonly hubs: readonly Hub[]) {}

  /** @param source whose store the fleet begins with */
  static async start(postgres: Postgres, { place }: FilledPlace): Promise<Fleet> {
    const environment: NodeJS.ProcessEnv = {
      ...place.environment,
      NEXUS_STORE: postgres.url(),
      NEXUS_FLEET_LEASE_SECONDS: "3",
    };
    const from = place.config.dataDir;
    const init = new DaemonProcess({ ...environment, NEXUS_DATA_DIR: `${from}/none` }, [
      ...["fleet", "init", "--from", from],
    ]);
    if ((await init.exited) !== 0) throw new Error(`nexusd fleet init failed: ${init.output}`);
    const hubs: Hub[] = [];
    for (let index = 0; index < 2; index++) {
      const { NEXUS_ENCRYPTION_KEY, NEXUS_STORE, NEXUS_FLEET_LEASE_SECONDS } = environment;
      const hub = await Place.make({
        ...{ NEXUS_ENCRYPTION_KEY, NEXUS_STORE, NEXUS_FLEET_LEASE_SECONDS },
        NEXUS_PUBLIC_URL: "http://localhost:3999",
        NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
      });
      hubs.push({ place: hub, daemon: new DaemonProcess(hub.environment) });
    }
    return new Fleet(hubs);
  }

  /** Resolves when both run and agree who leads. */
  async settled(): Promise<{ readonly leader: Hub; readonly follower: Hub }> {
    for (const untilMs = Date.now() + timeoutMs; Date.now() < untilMs; await sleep(100)) {
      const states = await Promise.all(
        this.hubs.map(({ place }) =>
          place
            .clients()
            .status.getStatus({}, { timeoutMs: 1_000 })
            .catch(() => undefined),
        ),
      );
      const leads = states.findIndex((state) => state?.fleet?.role === FleetRole.LEADER);
      const [leader, follower] = [this.hubs[leads], this.hubs[1 - leads]];
      if (leader && follower && new Set(states.map((state) => state?.fleet?.leader)).size === 1)
        return { leader, follower };
    }
    throw new Error("no hub leads");
  }

  /** Seconds from the end of the leader until a write at the other hub; that of the leader's process starts again afterwards. */
  async writeAfter(signal: "SIGKILL" | "SIGTERM"): Promise<number> {
    const { leader, follower } = await this.settled();
    const { connections } = follower.place.clients();
    const startedMs = performance.now();
    leader.daemon.signal(signal);
    for (;;) {
      try {
        await connections.requestConnection(requestOf("live"), { timeoutMs: 15_000 });
        break;
      } catch (error) {
        if (performance.now() - startedMs > timeoutMs) throw error;
        await sleep(20);
      }
    }
    const seconds = (performance.now() - startedMs) / 1_000;
    await leader.daemon.exited;
    leader.daemon = new DaemonProcess(leader.place.environment);
    return seconds;
  }

  async close(): Promise<void> {
    for (const { place, daemon } of this.hubs) {
      await daemon.kill("SIGKILL");
      rmSync(place.config.dataDir, { recursive: true, force: true });
    }
  }
}
