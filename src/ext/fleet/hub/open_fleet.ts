import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readVersion } from "../../../config/config.js";
import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import { type StoreOptions, storeFileName } from "../../../store/store.js";
import { readSecretFile, type Vault } from "../../../vault/vault.js";
import { FleetRefused, FleetUnreachable } from "../database/connection/fleet_error.js";
import { layout } from "../database/connection/layouts.js";
import { FleetDatabase } from "../database/fleet_database.js";
import type { Member } from "../database/members.js";
import { ReplicaStore } from "../replication/replica_store.js";
import type { FleetConfig, StoreAddress } from "./fleet_settings.js";
import { RolledBackReplica } from "./rolled_back_replica.js";

/** How long a hub without a copy waits for the database at its start, before whatever runs it is to try again. */
const timeoutMs = 30_000;
const retryMs = 1_000;

/** A fleet's store as this process has it. */
export interface OpenFleet {
  readonly store: ReplicaStore;
  /** UUID of this process. */
  readonly owner: string;
  /** The database, if it could be reached; a hub that has a copy serves from it until then. */
  readonly database: FleetDatabase | undefined;
  /** What this hub says of itself. */
  member(): Member;
  /** @throws FleetRefused, FleetUnreachable */
  connect(): Promise<FleetDatabase>;
}

export interface OpenFleetOptions {
  readonly config: FleetConfig;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: StoreOptions;
}

/** @throws Error when the file cannot be read, or other users can read it */
export function urlOf(store: StoreAddress): string {
  return "url" in store ? store.url.reveal() : readSecretFile(store.file).trim();
}

/**
 * Opens the copy of a fleet's store, and makes it where there is none or where it is too old.
 *
 * @throws FleetRefused, FleetUnreachable; StoreDamaged
 */
export async function openFleet(options: OpenFleetOptions): Promise<OpenFleet> {
  const { config, clock, log, vault } = options;
  const owner = randomUUID();
  const url = urlOf(config.store);
  const { folder } = options.store;
  const open = () => (existsSync(join(folder, storeFileName)) ? ReplicaStore.open(options.store) : undefined);
  const undone = new RolledBackReplica({ folder, clock, log });
  let store = open();
  const member = (): Member => ({
    owner,
    address: config.address,
    version: readVersion(),
    layout,
    keyIds: vault.keyIds,
    applied: store?.position.position ?? 0n,
  });
  const connect = async (): Promise<FleetDatabase> => {
    const database = await FleetDatabase.connect({ url, member, clock, log }, store?.position);
    if (store === undefined || store.databaseId === database.verdict.databaseId) return database;
    await database.close();
    throw new FleetRefused(
      "other_fleet",
      `the database is that of another fleet than the copy in ${folder}: name the right one in NEXUS_STORE, or move the copy away to join this fleet`,
    );
  };
  try {
    const database = await connected(connect, store === undefined ? timeoutMs : 0, options);
    if (database !== undefined && database.verdict.history !== "known") {
      const isUndone = await beginAnew(store, database, log);
      log.info({ history: database.verdict.history }, "copying the store of the fleet");
      await store?.close();
      if (isUndone) undone.keep();
      const startedMs = clock.monotonicMs();
      await ReplicaStore.copyInto(folder, database.firstCopy(), options.store.tables);
      store = open();
      log.info(
        { seconds: Math.round((clock.monotonicMs() - startedMs) / 100) / 10 },
        "the store of the fleet is copied",
      );
    }
    if (store === undefined)
      throw new FleetUnreachable(
        "the database of the fleet cannot be reached, and there is no copy of its store here",
      );
    if (database !== undefined) await undone.drainOutbox(store, database.spool);
    return { store, owner, database, member, connect };
  } catch (error) {
    await store?.close();
    throw error;
  }
}

/**
 * The database can lose batches that this hub has, by a failover to an asynchronous standby or a restore. Positions of the epoch that is
 * known here then mean something else. So the fleet begins another epoch, and watchers start again.
 *
 * @returns whether it did
 */
async function beginAnew(
  store: ReplicaStore | undefined,
  database: FleetDatabase,
  log: OpenFleetOptions["log"],
): Promise<boolean> {
  if (store === undefined || database.verdict.history !== "diverged") return false;
  const epoch = await database.changeEpoch(store.epoch);
  log.error(
    { epoch },
    "the database of the fleet lost batches that this hub has: what they changed is undone, but for newer tokens",
  );
  return true;
}

/** Undefined when the database cannot be reached within `forMs`, and there is a copy to serve from. */
async function connected(
  connect: () => Promise<FleetDatabase>,
  forMs: number,
  { clock, log }: OpenFleetOptions,
): Promise<FleetDatabase | undefined> {
  const untilMs = clock.monotonicMs() + forMs;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (!(error instanceof FleetUnreachable)) throw error;
      log.warn({ reason: error.message }, "the database of the fleet cannot be reached");
      if (clock.monotonicMs() >= untilMs) return undefined;
      await delay(clock, retryMs);
    }
  }
}
