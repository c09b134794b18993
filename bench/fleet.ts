import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Connector } from "../src/ext/fleet/database/connection/connector.js";
import { FleetDatabase } from "../src/ext/fleet/database/fleet_database.js";
import { initialise } from "../src/ext/fleet/database/initialise.js";
import { migrate } from "../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../src/runtime/clock.js";
import { Store } from "../src/store/store.js";
import { aMember } from "../test/ext/fleet/database/samples.js";
import { Postgres } from "../test/fakes/postgres.js";
import { silentLog } from "../test/silent_log.js";
import { boundFigure, type Figure, median, percentile, ratioFigure } from "./figure.js";
import { fillStore } from "./filled_store.js";
import { pgbench, transactionMs } from "./pgbench.js";

/** Refreshes that are under way at once. */
const atOnce = 64;

/** What the commits of a leader cost beside pgbench on the same server, how far followers are behind, and a first copy. */
export async function fleetFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-bench-fleet-"));
  const postgres = await Postgres.start({ settings: ["max_wal_size = 4GB"] });
  try {
    const rounds = quick
      ? { series: 2, seconds: 1, connections: 20_000 }
      : { series: 7, seconds: 3, connections: 100_000 };
    const bed = await FleetStores.make(folder, postgres, rounds.connections);
    try {
      return [
        ...(await commitFigures(bed, rounds)),
        boundFigure({
          name: "acknowledged at the leader to read at a follower, p99",
          unit: "ms",
          value: percentile(bed.lagMs, 0.99),
          atMost: 25,
        }),
        boundFigure({
          name: `1 M connections copied by a new hub, from ${rounds.connections}`,
          unit: "s",
          value: (bed.copyMs / 1_000) * (1_000_000 / rounds.connections),
          atMost: 120,
        }),
      ];
    } finally {
      await bed.close();
    }
  } finally {
    await postgres.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function commitFigures(
  bed: FleetStores,
  { series, seconds }: { readonly series: number; readonly seconds: number },
): Promise<Figure[]> {
  const commitMs = { ours: [] as number[], theirs: [] as number[] };
  const refreshMs = { ours: [] as number[], theirs: [] as number[] };
  pgbench(bed.postgres, ["-i", "-s", "5", "-q"]);
  for (let index = -1; index < series; index++) {
    const bare = transactionMs(bed.postgres, seconds);
    const single = await bed.commits(seconds);
    const embedded = await bed.embeddedCommits(seconds);
    const many = await bed.refreshes(seconds);
    // The first round fills caches.
    if (index < 0) continue;
    commitMs.theirs.push(bare.medianMs);
    commitMs.ours.push(median(single) - median(embedded));
    refreshMs.theirs.push(bare.perTransactionMs);
    refreshMs.ours.push(many);
  }
  return [
    ratioFigure({
      name: "commit at the leader, beyond one of the embedded daemon: p50",
      unit: "ms",
      ...commitMs,
      against: "pgbench -N -c 1",
      atMost: 2,
    }),
    ratioFigure({
      name: `refresh that the commits carry, ${atOnce} at once: time for each`,
      unit: "ms",
      ...refreshMs,
      against: "a transaction of pgbench -N -c 1",
      atMost: 0.5,
    }),
  ];
}

/** A leader and a follower of one database, and a store beside them. */
class FleetStores {
  readonly lagMs: number[] = [];
  readonly #closing = new AbortController();

  private constructor(
    readonly postgres: Postgres,
    private readonly stores: { readonly leader: Store; readonly follower: Store; readonly embedded: Store },
    private readonly databases: readonly FleetDatabase[],
    private readonly ids: readonly string[],
    private readonly end: () => Promise<void>,
    /** How long the first copy of the follower took. */
    readonly copyMs: number,
  ) {
    void this.#follow();
  }

  static async make(folder: string, postgres: Postgres, connections: number): Promise<FleetStores> {
    const folders = Object.fromEntries(
      ["embedded", "leader", "follower"].map((name) => {
        mkdirSync(join(folder, name), { mode: 0o700 });
        return [name, join(folder, name)];
      }),
    ) as Record<"embedded" | "leader" | "follower", string>;
    const groups = [{ count: connections, dueAtMs: Date.now() + 30 * 86_400_000, accessTokenBytes: 1_400 }];
    const filling = {
      folder: folders.embedded,
      key: randomBytes(32),
      origin: "http://127.0.0.1:9",
      providers: ["bench"],
      groups,
    };
    const [ids = []] = await fillStore(filling);
    const embedded = Store.open({ folder: folders.embedded, nowMs: Date.now() });
    const connector = new Connector(postgres.url(), new SystemClock());
    await migrate(connector);
    await initialise(connector, {
      databaseId: embedded.databaseId,
      epoch: embedded.epoch,
      entries: embedded.entries(),
    });
    const databases = [await connected(postgres), await connected(postgres)] as const;
    await Store.copyInto(folders.leader, databases[0].firstCopy());
    const startedMs = performance.now();
    await Store.copyInto(folders.follower, databases[1].firstCopy());
    const copyMs = performance.now() - startedMs;
    const open = (name: "leader" | "follower") =>
      Store.open({ folder: folders[name], nowMs: Date.now(), replica: true });
    const stores = { leader: open("leader"), follower: open("follower"), embedded };
    const lease = databases[0].lease({ address: "bench:1", leaseMs: 60_000, onLost: () => undefined });
    await lease.acquire();
    const log = databases[0].leaderLog(lease.fence ?? 0n, databases[0].verdict.epoch);
    stores.leader.lead(log);
    const keeping = new AbortController();
    const kept = databases[0].imageKeeper(lease.fence ?? 0n).run(keeping.signal);
    const end = async () => {
      keeping.abort();
      await kept;
      await log.close();
      await lease.release();
    };
    return new FleetStores(postgres, stores, databases, ids, end, copyMs);
  }

  /** Commits at the leader, one after the other, each read at the follower before the next. In milliseconds. */
  async commits(seconds: number): Promise<number[]> {
    const { leader, follower } = this.stores;
    const takenMs: number[] = [];
    const endMs = performance.now() + seconds * 1_000;
    for (let index = 0; performance.now() < endMs; index++) {
      const askedMs = performance.now();
      await intent(leader, this.ids[index % this.ids.length] ?? "");
      const acknowledgedMs = performance.now();
      await follower.waitFor(leader.position?.position ?? 0n);
      takenMs.push(acknowledgedMs - askedMs);
      this.lagMs.push(performance.now() - acknowledgedMs);
    }
    return takenMs;
  }

  async embeddedCommits(seconds: number): Promise<number[]> {
    const takenMs: number[] = [];
    const endMs = performance.now() + seconds * 1_000;
    for (let index = 0; performance.now() < endMs; index++) {
      const askedMs = performance.now();
      await intent(this.stores.embedded, this.ids[index % this.ids.length] ?? "");
      takenMs.push(performance.now() - askedMs);
    }
    return takenMs;
  }

  /** Intent, and outcome with its audit event, of many connections at once. @returns milliseconds for each refresh */
  async refreshes(seconds: number): Promise<number> {
    const { leader } = this.stores;
    const startedMs = performance.now();
    let done = 0;
    await Promise.all(
      Array.from({ length: atOnce }, async (_, lane) => {
        for (let round = 0; performance.now() - startedMs < seconds * 1_000; round++) {
          const id = this.ids[(lane + round * atOnce) % this.ids.length] ?? "";
          await intent(leader, id);
          await outcome(leader, id);
          done++;
        }
      }),
    );
    return (performance.now() - startedMs) / done;
  }

  async close(): Promise<void> {
    await this.end();
    this.#closing.abort();
    for (const database of this.databases) await database.close();
    for (const store of Object.values(this.stores)) await store.close();
  }

  async #follow(): Promise<void> {
    const [, database] = this.databases;
    const { follower } = this.stores;
    if (!database || !follower.position) throw new Error("a follower has a position");
    for await (const batches of database.feed(follower.position, this.#closing.signal))
      await follower.apply(batches);
  }
}

async function connected(postgres: Postgres): Promise<FleetDatabase> {
  const member = aMember();
  return await FleetDatabase.connect({
    url: postgres.url(),
    member: () => member,
    clock: new SystemClock(),
    log: silentLog,
  });
}

async function intent(store: Store, id: string): Promise<void> {
  await store.commit((tx) => {
    const connection = tx.getConnection(id);
    if (!connection) throw new Error("a connection of the bench is missing");
    const refreshIntent = {
      credentialRevision: connection.credentialRevision,
      startedAtMs: Date.now(),
      sends: 1,
    };
    tx.putUnannounced({ ...connection, refreshIntent });
  });
}

async function outcome(store: Store, id: string): Promise<void> {
  await store.commit((tx) => {
    const connection = tx.getConnection(id);
    const credential = tx.getCredential(id);
    if (!connection || !credential) throw new Error("a connection of the bench is missing");
    const { refreshIntent: _, ...rest } = connection;
    tx.putCredential(id, credential);
    tx.putConnection({
      ...rest,
      refreshIntent: undefined,
      refreshNotBeforeMs: (rest.refreshNotBeforeMs ?? 0) + 1,
    });
    tx.appendAudit({ timeMs: Date.now(), type: "token_refreshed", principal: "daemon", connectionId: id });
  });
}
