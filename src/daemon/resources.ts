import { existsSync, fstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import type { FleetConfig } from "../config/fleet_config.js";
import { readVersion } from "../config/version.js";
import { adoptPrimary, openKeyCheck } from "../domain/operations/key_check.js";
import type { OpenFleet } from "../ext/fleet/hub/open_fleet.js";
import type { Tracing } from "../model/tracing.js";
import type { CheckedClock } from "../runtime/checked_clock.js";
import { type Clock, delay } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { refuseCopies } from "../store/files/copy_position.js";
import { type DataFolderLock, lockDataFolder } from "../store/files/data_folder.js";
import { SpoolFile } from "../store/files/spool_file.js";
import { StoreHangs } from "../store/lmdb/store_error.js";
import { Store, storeFileName } from "../store/store.js";
import { Metrics } from "../telemetry/metrics.js";
import { type OpenTls, openTls } from "./listener_tls.js";
import { type OpenedVault, openVault } from "./open_vault.js";

/** What a store that failed at the start gets to close; it takes milliseconds, or for ever. */
const closeMs = 1_000;

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  /** Of a hub: the clock of its links to the database and to other hubs; `clock` by default. */
  readonly linkClock?: Clock;
  /** Of a hub: `clock`, where it is to be corrected by those of the database and of other hubs. */
  readonly checkedClock?: CheckedClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called once when the store takes no more writes: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** Of a hub: called when it is to give its lead back and end. */
  readonly onStepDown?: () => void;
  /** None by default. */
  readonly tracing?: Tracing;
  /** The variables that files of the operator may name; those of the process by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** What a daemon opens before it is wired, and closes last. */
export class Resources {
  private constructor(
    readonly lock: DataFolderLock,
    readonly tls: OpenTls,
    readonly opened: OpenedVault,
    readonly store: Store,
    readonly spoolFile: SpoolFile | undefined,
    readonly metrics: Metrics,
    /** Of a hub. */
    readonly fleet: OpenFleet | undefined,
    private readonly clock: Clock,
  ) {}

  /** @throws DataFolderInUse, TlsError, KeyError, StoreDamaged, StoreFailed; of a hub FleetRefused, FleetUnreachable */
  static async open(options: DaemonOptions): Promise<Resources> {
    const { config, log, clock } = options;
    const lock = lockDataFolder(config.dataDir);
    let tls: OpenTls | undefined;
    let store: Store | undefined;
    let fleet: OpenFleet | undefined;
    const metrics = new Metrics({ version: readVersion() });
    try {
      if (config.upstream === undefined) refuseCopies(config.dataDir);
      tls = await openTls(config, options);
      const environment = options.environment ?? processEnvironment();
      const opened = await openVault({ config, environment, clock, log });
      if (config.fleet !== undefined) fleet = await openReplica(options, config.fleet, opened, metrics);
      store = fleet?.store ?? openStore(options, metrics);
      await closeOnExec(join(config.dataDir, storeFileName), log);
      if (fleet) adoptPrimary(store, opened.vault);
      else await openKeyCheck(store, opened.vault);
      const spoolFile = openSpoolFile(config.dataDir, log);
      return new Resources(lock, tls, opened, store, spoolFile, metrics, fleet, clock);
    } catch (error) {
      await fleet?.database?.close();
      await giveUp({ lock, tls, store, clock, cause: error });
      throw error;
    }
  }

  /** After an orderly end: the store closes when its last commit is durable. */
  async close(): Promise<void> {
    await this.store.close();
    this.spoolFile?.close();
    this.lock.release();
  }

  /** After a failure at the start. @throws StoreHangs when the store does not close within a second */
  async giveUp(cause: unknown): Promise<void> {
    await giveUp({ ...this, clock: this.clock, cause });
  }
}

async function giveUp(parts: {
  readonly lock: DataFolderLock;
  readonly tls: OpenTls | undefined;
  readonly store: Store | undefined;
  readonly spoolFile?: SpoolFile | undefined;
  readonly clock: Clock;
  readonly cause: unknown;
}): Promise<void> {
  const { lock, tls, store, spoolFile, clock, cause } = parts;
  tls?.stop();
  const late = delay(clock, closeMs).then(() => "late");
  const closed = await Promise.race([store?.close(), late]);
  spoolFile?.close();
  lock.release();
  if (closed === "late") throw new StoreHangs("the store cannot be written or closed", { cause });
}

/** What a hub needs takes long to load, and most daemons are alone. */
async function openReplica(
  options: DaemonOptions,
  config: FleetConfig,
  { vault }: OpenedVault,
  metrics: Metrics,
): Promise<OpenFleet> {
  const { log, linkClock: clock = options.clock } = options;
  const folder = options.config.dataDir;
  const [{ openFleet }, { RolledBackReplica }] = await Promise.all([
    import("../ext/fleet/hub/open_fleet.js"),
    import("../ext/fleet/hub/rolled_back_replica.js"),
  ]);
  return await openFleet({
    ...{ config, vault, clock, log },
    copy: (database) => Store.copyInto(folder, database.firstCopy()),
    open: () => (existsSync(join(folder, storeFileName)) ? openStore(options, metrics, true) : undefined),
    undone: new RolledBackReplica({ folder, clock, log }),
  });
}

function openStore({ config, clock, onFatal }: DaemonOptions, metrics: Metrics, replica = false): Store {
  return Store.open({
    folder: config.dataDir,
    ...(replica && { replica }),
    nowMs: clock.nowMs(),
    onFatal,
    audit: config.audit,
    timing: {
      monotonicMs: () => clock.monotonicMs(),
      committed: (durationMs) => metrics.committed(durationMs),
    },
  });
}

/** `F_SETFD` and `FD_CLOEXEC` of fcntl(2), the same on every system. */
const [setFlags, closesOnExec] = [2, 1];

/** LMDB opens its file so that every program inherits it which the daemon runs: for its keys, or with a notification. */
async function closeOnExec(path: string, log: Log): Promise<void> {
  try {
    const { default: koffi } = await import("koffi");
    const fcntl = koffi.load(null).func("int fcntl(int, int, ...)");
    const { dev, ino } = statSync(path);
    for (const descriptor of readdirSync("/dev/fd").map(Number)) {
      const file = statOf(descriptor);
      if (file?.ino === ino && file.dev === dev) fcntl(descriptor, setFlags, "int", closesOnExec);
    }
  } catch (error) {
    log.warn({ err: error }, "programs that the daemon runs inherit its store");
  }
}

function statOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    // The one by which the folder was read.
    return undefined;
  }
}

/** Without it the daemon runs, and what the store cannot take dies with the process. */
function openSpoolFile(folder: string, log: Log): SpoolFile | undefined {
  try {
    const file = SpoolFile.open(folder);
    if (file.violation !== undefined)
      log.warn({ err: file.violation }, "the spool file has not all of its room");
    return file;
  } catch (error) {
    log.warn({ err: error }, "the spool file cannot be opened");
    return undefined;
  }
}
