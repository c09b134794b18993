import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openKeyCheck } from "../../../domain/operations/operations.js";
import type { Clock } from "../../../runtime/runtime.js";
import {
  type ExtensionTable,
  lockDataFolder,
  refuseCopies,
  Store,
  storeFileName,
} from "../../../store/store.js";
import { KeyRingSource, Vault } from "../../../vault/vault.js";
import { Connector } from "../database/connection/connector.js";
import { initialise, refuseFleet } from "../database/initialise.js";
import { type Migration, migrate } from "../database/migrations.js";
import { noteRestored } from "../database/restored.js";
import type { RawWrite } from "../replication/log.js";
import { rawEntries } from "../replication/raw_entries.js";
import type { FleetStoreConfig } from "./fleet_settings.js";
import { urlOf } from "./open_fleet.js";

/** What a folder's store is called once it is the fleet's: a daemon that is started on the folder by mistake must not use its grants. */
const takenSuffix = ".taken-into-fleet";

export interface InitOptions {
  readonly config: FleetStoreConfig;
  /** The data folder of a daemon that does not run; undefined for a new store. */
  readonly from: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Of the extensions: what is in others of that folder, the fleet does not get. */
  readonly tables: readonly ExtensionTable[];
}

export interface InitReport {
  readonly databaseId: string;
  readonly entries: number;
  /** Whether the settings named no key, and one was made; the path of its file. */
  readonly madeKey: string | undefined;
  /** Where the store of the folder is kept. */
  readonly kept: string | undefined;
}

/**
 * Makes the store of a fleet, of a folder's or a new one.
 *
 * @throws FleetRefused, FleetUnreachable; DataFolderInUse, DataFolderUnusable, KeyError, StoreDamaged
 */
export async function initFleet(options: InitOptions): Promise<InitReport> {
  const { config, from, environment, clock, tables } = options;
  process.umask(0o077);
  const connector = new Connector(urlOf(config.store), clock);
  await refuseFleet(connector);
  await migrate(connector);
  const home = from ?? config.dataDir;
  if (from !== undefined) refuseCopies(from);
  const lock = lockDataFolder(home);
  const folder = from ?? mkdtempSync(join(home, "fleet-init-"));
  try {
    const keys = new KeyRingSource({ source: config.encryptionKey, environment, clock });
    const loaded = await keys.load(from !== undefined);
    const store = Store.open({ folder, nowMs: clock.nowMs(), tables });
    let entries = 0;
    try {
      await openKeyCheck(store, new Vault(loaded.keys));
      const { databaseId, epoch } = store;
      const pages = counted(store.raw(rawEntries), (count) => {
        entries += count;
      });
      await initialise(connector, { databaseId, epoch, entries: pages });
    } finally {
      await store.close();
    }
    const { databaseId } = store;
    const kept = from === undefined ? undefined : setAside(folder);
    return { databaseId, entries, madeKey: loaded.created ? keys.path : undefined, kept };
  } finally {
    if (from === undefined) rmSync(folder, { recursive: true, force: true });
    lock.release();
  }
}

/** Makes the tables what this version needs, and with `contract` refuses older hubs. @throws FleetRefused, FleetUnreachable */
export async function migrateFleet(
  { store }: FleetStoreConfig,
  contract: boolean,
  clock: Clock,
): Promise<Migration> {
  return await migrate(new Connector(urlOf(store), clock), { contract });
}

/** After the database was restored to a point in time, before the first hub starts. @throws FleetRefused, FleetUnreachable */
export async function restoredFleet({ store }: FleetStoreConfig, clock: Clock): Promise<readonly string[]> {
  return await noteRestored(new Connector(urlOf(store), clock));
}

function setAside(folder: string): string {
  const path = join(folder, storeFileName);
  renameSync(path, `${path}${takenSuffix}`);
  rmSync(`${path}-lock`, { force: true });
  return `${path}${takenSuffix}`;
}

function* counted(pages: Iterable<RawWrite[]>, add: (count: number) => void): Generator<RawWrite[]> {
  for (const page of pages) {
    add(page.length);
    yield page;
  }
}
