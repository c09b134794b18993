import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isSucceededBy } from "../../../domain/grants/grants.js";
import type { Connection, SpooledTokenSet } from "../../../model/connections/connections.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import { encodeSpooled, type Store, storeFileName } from "../../../store/store.js";
import type { FleetSpool } from "../database/spool.js";
import { ReplicaStore } from "../replication/replica_store.js";

/** In the data folder. */
const folderName = "undone";
const pageConnections = 1_000;
/** Of one statement: a few hundred kilobytes at most. */
const pageTokenSets = 100;

/**
 * The copy of a hub whose database lost batches that it has. It is kept beside the new copy until its newer tokens are in the database's
 * spool. Providers may have rotated since, and would take the older tokens of the database for stolen ones.
 */
export class RolledBackReplica {
  constructor(
    private readonly deps: {
      readonly folder: string;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** Puts the store, which is closed, aside. */
  keep(): void {
    const { folder } = this.deps;
    rmSync(this.#folder, { recursive: true, force: true });
    mkdirSync(this.#folder, { mode: 0o700 });
    renameSync(join(folder, storeFileName), join(this.#folder, storeFileName));
    rmSync(join(folder, `${storeFileName}-lock`), { force: true });
  }

  /**
   * Leaves what it has newer than the new copy, and removes it; nothing where there is none. What of it cannot be read stays where it is,
   * and is reported in the log: the hub starts without it.
   *
   * @throws FleetUnreachable: it is kept
   */
  async drainOutbox(store: Store, spool: Pick<FleetSpool, "leave">): Promise<void> {
    if (!existsSync(join(this.#folder, storeFileName))) return;
    const { clock, log } = this.deps;
    let isWhole = true;
    const damaged = (error: unknown): void => {
      isWhole = false;
      const words = "the copy of what the database lost cannot be read: what is newer there needs a person";
      log.error({ err: error, folder: this.#folder }, words);
    };
    let lost: ReplicaStore;
    try {
      lost = ReplicaStore.open({ folder: this.#folder, nowMs: clock.nowMs() });
    } catch (error) {
      damaged(error);
      return;
    }
    let count = 0;
    try {
      for (const tokenSets of pagesOf(readable(newerTokenSets(lost, store), damaged))) {
        await spool.leave(tokenSets.map(encodeSpooled));
        count += tokenSets.length;
      }
    } finally {
      await lost.close();
    }
    if (isWhole) rmSync(this.#folder, { recursive: true, force: true });
    log.warn({ count }, "newer tokens of what the database lost are left for the hub that leads");
  }

  get #folder(): string {
    return join(this.deps.folder, folderName);
  }
}

/** What a copy has newer than the store, of connections that both have. */
export function* newerTokenSets(lost: Store, store: Store): Generator<SpooledTokenSet> {
  if (lost.databaseId !== store.databaseId) return;
  for (const connection of connectionsOf(lost)) {
    const current = store.getConnection(connection.id);
    if (current === undefined || !isSucceededBy(current, connection)) continue;
    const credential = lost.getCredential(connection.id);
    if (credential?.revision === connection.credentialRevision)
      yield { grant: "undone", connection, credential };
  }
}

function* connectionsOf(store: Store): Generator<Connection> {
  for (let afterId: string | undefined; ; ) {
    const page = store.listConnections({ limit: pageConnections, ...(afterId !== undefined && { afterId }) });
    yield* page;
    afterId = page.at(-1)?.id;
    if (page.length < pageConnections) return;
  }
}

/** Up to the first that cannot be read. */
function* readable<T>(entries: Iterable<T>, damaged: (error: unknown) => void): Generator<T> {
  try {
    yield* entries;
  } catch (error) {
    damaged(error);
  }
}

function* pagesOf(tokenSets: Iterable<SpooledTokenSet>): Generator<SpooledTokenSet[]> {
  let page: SpooledTokenSet[] = [];
  for (const tokenSet of tokenSets) {
    page.push(tokenSet);
    if (page.length < pageTokenSets) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
