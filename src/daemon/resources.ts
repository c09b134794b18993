import { existsSync, fstatSync, readdirSync, rmSync, type Stats, statSync } from "node:fs";
import { join as pathOf } from "node:path";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import { readVersion } from "../config/version.js";
import type { DaemonOptions } from "../core/daemon_options.js";
import type { Joined, Opening } from "../core/membership.js";
import { adoptPrimary, openKeyCheck } from "../domain/operations/operations.js";
import { type Clock, delay } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { loadSystemCalls } from "../runtime/platform/system_calls.js";
import { ListenerTls } from "../server/tls/tls_listener.js";
import { TlsReloader } from "../server/tls/tls_reloader.js";
import { type DataFolderLock, lockDataFolder } from "../store/files/data_folder.js";
import { SpoolFile, spoolFileName } from "../store/files/spool_file.js";
import { openMarkSuffix } from "../store/lmdb/file_check.js";
import { StoreHangs } from "../store/lmdb/store_error.js";
import { Store, type StoreOptions, storeFileName } from "../store/store.js";
import { Metrics } from "../telemetry/metrics.js";
import { type OpenedVault, openVault } from "./open_vault.js";

/** What a first start makes. */
const firstFiles = [
  "encryption.key",
  "admin.key",
  "daemon-id",
  storeFileName,
  `${storeFileName}-lock`,
  `${storeFileName}${openMarkSuffix}`,
  spoolFileName,
];

/** What a store that failed at the start gets to close; it takes milliseconds, or for ever. */
const closeMs = 1_000;

/** What a daemon opens before it is wired, and closes last. */
export class Resources {
  private constructor(
    readonly lock: DataFolderLock,
    readonly tls: OpenTls,
    readonly opened: OpenedVault,
    readonly store: Store,
    readonly spoolFile: SpoolFile | undefined,
    readonly metrics: Metrics,
    readonly newKeys: NewKeys,
    private readonly clock: Clock,
  ) {}

  /** @throws DataFolderInUse, TlsError, KeyError, StoreDamaged, StoreFailed, StartRefused */
  static async open(
    options: DaemonOptions,
    tables: StoreOptions["tables"],
    join: (opening: Opening) => Promise<Joined | undefined>,
  ): Promise<Resources> {
    const { config, log, clock } = options;
    const lock = lockDataFolder(config.dataDir);
    const newKeys = new NewKeys(madeByFirstStart(config), log);
    let tls: OpenTls | undefined;
    let store: Store | undefined;
    let joined: Joined | undefined;
    const metrics = new Metrics({ version: readVersion() });
    try {
      tls = await openTls(config, options);
      const environment = options.environment ?? processEnvironment();
      const opened = await openVault({
        ...{ config, environment, clock, log },
        announce: (path, message) => newKeys.announce(path, message),
      });
      const storeOptions = { ...storeOptionsOf(options, metrics), tables };
      joined = await join({ vault: opened.vault, store: storeOptions });
      store = joined?.store ?? Store.open(storeOptions);
      await closeOnExec(pathOf(config.dataDir, storeFileName), log);
      if (joined?.store) adoptPrimary(store, opened.vault);
      else await openKeyCheck(store, opened.vault);
      const spoolFile = openSpoolFile(config.dataDir, log);
      return new Resources(lock, tls, opened, store, spoolFile, metrics, newKeys, clock);
    } catch (error) {
      await joined?.giveUp?.();
      await giveUp({ lock, tls, store, clock, newKeys, cause: error });
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

/** Keys that a start makes. Those that a failed start removes again are announced once the daemon is ready. */
export class NewKeys {
  readonly #untold: { readonly path: string; readonly message: string }[] = [];

  constructor(
    readonly removedAtFailure: readonly string[],
    private readonly log: Log,
  ) {}

  announce(path: string, message: string): void {
    if (this.removedAtFailure.includes(path)) this.#untold.push({ path, message });
    else this.log.info({ path }, message);
  }

  /** Says what was not said yet. */
  tell(): void {
    for (const { path, message } of this.#untold.splice(0)) this.log.info({ path }, message);
  }
}

/** In an empty folder: a key that a refused start left there would be the key of the next one, whatever the settings say then. */
function madeByFirstStart({ dataDir, store }: Config): string[] {
  const isFirst = firstFiles.every((name) => !existsSync(pathOf(dataDir, name)));
  return isFirst && store === "own" ? firstFiles.map((name) => pathOf(dataDir, name)) : [];
}

async function giveUp(parts: {
  readonly lock: DataFolderLock;
  readonly tls: OpenTls | undefined;
  readonly store: Store | undefined;
  readonly spoolFile?: SpoolFile | undefined;
  readonly clock: Clock;
  readonly newKeys: NewKeys;
  readonly cause: unknown;
}): Promise<void> {
  const { lock, tls, store, spoolFile, clock, newKeys, cause } = parts;
  tls?.stop();
  const late = delay(clock, closeMs).then(() => "late");
  const closed = await Promise.race([store?.close(), late]);
  spoolFile?.close();
  if (closed === "late") newKeys.tell();
  else for (const path of newKeys.removedAtFailure) rmSync(path, { force: true });
  lock.release();
  if (closed === "late") throw new StoreHangs("the store cannot be written or closed", { cause });
}

function storeOptionsOf({ config, clock, onFatal }: DaemonOptions, metrics: Metrics): StoreOptions {
  return {
    folder: config.dataDir,
    nowMs: clock.nowMs(),
    onFatal,
    audit: config.audit,
    timing: { clock, metrics },
  };
}

/** `F_SETFD` and `FD_CLOEXEC` of fcntl(2), the same on every system. */
const [setFlags, closesOnExec] = [2, 1];

/** LMDB opens its file so that every program inherits it which the daemon runs: for its keys, or with a notification. */
async function closeOnExec(path: string, log: Log): Promise<void> {
  try {
    const { fcntl } = await loadSystemCalls();
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

/** TLS as the settings say; its opener stops it. */
export interface OpenTls {
  of(listener: string): ListenerTls | undefined;
  /** When the certificate that new connections get expires; undefined without one. */
  endsMs(): number | undefined;
  stop(): void;
}

/** Reads the certificate, if there is one to be. @throws TlsError */
export async function openTls(
  { listeners: { tls, forCallers } }: Config,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<OpenTls> {
  if (tls === undefined) return { of: () => undefined, endsMs: () => undefined, stop: () => undefined };
  const keeper = await TlsReloader.load({ ...tls, clock, log });
  return {
    of: (listener) => {
      if (!tls.listeners.includes(listener)) return undefined;
      const clientAuth = forCallers.includes(listener) ? tls.clientAuth : "none";
      return new ListenerTls({ listener, keeper, clientAuth, log });
    },
    endsMs: () => keeper.pair.notAfterMs,
    stop: () => keeper.stop(),
  };
}
