import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Role } from "../src/gen/nexus/v1/access_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { answerOf, start, startElsewhere } from "./children.js";
import { type Figure, percentile } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { Probe } from "./probe.js";
import type { StormReport } from "./storm_provider.js";

/** At most at one provider, by default. */
const mostInFlight = 16;
const stormTimeoutMs = 180_000;
const providers = ["live", "limited", "dead"];
const idleMs = 5_000;
const inTwoHours = (): number => Date.now() + 7_200_000;

/** What callers and the event loop feel while the daemon works: due refreshes, whole snapshots, lists. */
export async function loadFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  return [
    ...(await storm(quick ? 1_500 : 10_000)),
    ...(await snapshots(quick ? 1_000 : 10_000)),
    ...(await lists(quick ? 20_000 : 1_000_000)),
  ];
}

/** A daemon with a probe of its event loop, and an agent that reads a fresh token over and over. */
class Stage {
  readonly #probe: Probe;
  readonly #daemon: DaemonProcess;

  private constructor(
    readonly place: Place,
    private readonly freshId: string,
  ) {
    this.#probe = new Probe(join(place.config.dataDir, "probe"));
    this.#daemon = new DaemonProcess({ ...place.environment, ...this.#probe.environment });
  }

  static async start(place: Place, freshId: string): Promise<Stage> {
    const stage = new Stage(place, freshId);
    await stage.#daemon.ready();
    return stage;
  }

  /** @param idle resolves when the load may begin */
  async figures(name: string, idle: () => Promise<unknown>, load: () => Promise<void>): Promise<Figure[]> {
    const asker = start("asker.ts", [this.place.socket, this.freshId]);
    await sleep(2_000);
    await latencies(asker);
    await idle();
    const idleTaken = await latencies(asker);
    const before = this.#probe.delays().length;
    await load();
    const taken = await latencies(asker);
    // The second under way.
    await sleep(1_100);
    const delays = this.#probe.delays().slice(before);
    asker.disconnect();
    return [
      {
        name: `${name}: event-loop delay, p99 of the worst second`,
        value: Math.max(...delays.map(({ p99Ms }) => p99Ms)),
      },
      { name: `${name}: longest event-loop delay`, value: Math.max(...delays.map(({ maxMs }) => maxMs)) },
      {
        name: `${name}: GetToken p99`,
        value: percentile(taken, 0.99),
        against: { name: "idle", value: percentile(idleTaken, 0.99) },
      },
    ];
  }

  async close(): Promise<void> {
    await this.#daemon.kill("SIGKILL");
    rmSync(this.place.config.dataDir, { recursive: true, force: true });
  }
}

async function latencies(asker: ChildProcess): Promise<number[]> {
  const answered = once(asker, "message");
  asker.send("latencies");
  const [taken] = (await answered) as [number[]];
  return taken;
}

/** All connections of three providers fall due at one moment, one provider is dead and one answers 429. @throws Error when a promise is broken meanwhile */
async function storm(count: number): Promise<Figure[]> {
  const provider = startElsewhere("storm_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const report = async (): Promise<StormReport> => {
    provider.send("report");
    const [message] = (await once(provider, "message")) as [StormReport];
    return message;
  };
  const dueAtMs = Date.now() + 20_000;
  const groups = [
    { count, dueAtMs },
    { count: 1, dueAtMs: inTwoHours() },
  ];
  const { place, ids } = await filledPlace(groups, { origin, providers });
  const stage = await Stage.start(place, ids[1]?.[0] ?? "");
  try {
    const figures = await stage.figures(
      "storm",
      () => sleep(dueAtMs - Date.now()),
      () => drained(place, report, count, dueAtMs),
    );
    const { duplicates, maxInFlight } = await report();
    const { status } = await fetch(`${place.opsUrl}/readyz`);
    if (duplicates > 0) throw new Error(`${duplicates} refresh tokens of the storm were sent twice`);
    if (Math.max(...Object.values(maxInFlight)) > mostInFlight)
      throw new Error(`a provider had more than ${mostInFlight} requests at once`);
    if (status !== 200) throw new Error(`/readyz answers ${status} after the storm`);
    return figures;
  } finally {
    await stage.close();
    provider.disconnect();
  }
}

/** Resolves when all that can be refreshed was, and all that is limited was asked. */
async function drained(
  { opsUrl }: Place,
  report: () => Promise<StormReport>,
  count: number,
  dueAtMs: number,
): Promise<void> {
  const of = (name: string): number => Math.ceil((count - providers.indexOf(name)) / providers.length);
  while (Date.now() - dueAtMs < stormTimeoutMs) {
    const { requests } = await report();
    const isDrained =
      (requests["limited"] ?? 0) >= of("limited") && (await refreshedAt(opsUrl, "live")) >= of("live");
    if (isDrained) return;
    await sleep(250);
  }
  throw new Error(`the storm is not over after ${stormTimeoutMs / 1_000} s`);
}

/** Refreshes of a provider that succeeded, as a daemon counts them. */
export async function refreshedAt(opsUrl: string, provider: string): Promise<number> {
  const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
  const pattern = new RegExp(
    `nexus_refresh_total\\{provider="${provider}",result="success",reason=""\\} (\\d+)`,
  );
  return Number(pattern.exec(metrics)?.[1] ?? 0);
}

/** A watcher that has read nothing yet takes a whole snapshot, and another one, three times; each read goes on record. */
async function snapshots(count: number): Promise<Figure[]> {
  const groups = [{ count, dueAtMs: inTwoHours(), accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups);
  const stage = await Stage.start(place, ids[0]?.[0] ?? "");
  const take = async (index: number): Promise<void> => {
    const key = await agentKey(place, `bench-${index}`);
    for (let again = 0; again < 2; again++) {
      const messages = await answerOf<number>("reader.ts", [place.socket, "snapshot", key]);
      if (messages !== count) throw new Error(`a snapshot had ${messages} connections`);
    }
  };
  try {
    // What V8 compiles in the first one is not the next ones'.
    await take(0);
    return await stage.figures(
      "snapshot",
      () => sleep(idleMs),
      async () => {
        for (let index = 1; index <= 3; index++) await take(index);
      },
    );
  } finally {
    await stage.close();
  }
}

/** An agent that may see the connections of `ada` at the provider `bench`. */
async function agentKey(place: Place, name: string): Promise<string> {
  const restriction = { userIds: ["ada"], providers: ["bench"] };
  return (await place.clients().access.createApiKey({ name, role: Role.AGENT, restriction })).key;
}

/** The largest pages, one after the other, and a search that finds nothing. */
async function lists(count: number): Promise<Figure[]> {
  const { place, ids } = await filledPlace([{ count, dueAtMs: Date.now() + 30 * 86_400_000 }]);
  const stage = await Stage.start(place, ids[0]?.[0] ?? "");
  const list = (search: string): Promise<number> => answerOf("reader.ts", [place.socket, "list", search]);
  try {
    await list("");
    return await stage.figures(
      "list",
      () => sleep(idleMs),
      async () => {
        for (const search of ["", "nobody", ""]) await list(search);
      },
    );
  } finally {
    await stage.close();
  }
}
