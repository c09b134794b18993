import { existsSync } from "node:fs";
import { join } from "node:path";
import { Catalogue } from "./catalogue/catalogue.js";
import { CatalogueFault } from "./catalogue/catalogue_fault.js";
import { type ExitCode, exitCodes } from "./cli/exit_codes.js";
import { readVersion } from "./cli/version.js";
import type { Config } from "./config/config.js";
import { processEnvironment } from "./config/environment.js";
import { AuditReader } from "./domain/audit_reader.js";
import { AuditedTokens } from "./domain/audited_tokens.js";
import { AuthorizationServers } from "./domain/authorization_servers.js";
import { CaptureFormFlow } from "./domain/capture_form_flow.js";
import { ConnectionCompleter } from "./domain/connection_completer.js";
import { ConnectionImporter } from "./domain/connection_importer.js";
import { ConnectionManager } from "./domain/connection_manager.js";
import { CredentialCapture } from "./domain/credential_capture.js";
import { credentialCheck } from "./domain/credential_check.js";
import { CredentialReader } from "./domain/credential_reader.js";
import { CredentialTrial } from "./domain/credential_trial.js";
import { CredentialVault } from "./domain/credential_vault.js";
import { CredentialWriter } from "./domain/credential_writer.js";
import { Grants } from "./domain/grants.js";
import { ImportRecovery } from "./domain/import_recovery.js";
import { openKeyCheck } from "./domain/key_check.js";
import { ProviderRegistry } from "./domain/provider_registry.js";
import { ReadLedger } from "./domain/read_ledger.js";
import { RefreshEngine } from "./domain/refresh_engine.js";
import { RevocationQueue } from "./domain/revocation_queue.js";
import { Revoker } from "./domain/revoker.js";
import { TokenManager } from "./domain/token_manager.js";
import { TokenWatch } from "./domain/token_watch.js";
import { UnknownStates } from "./domain/unknown_states.js";
import { WatchHub } from "./domain/watch_hub.js";
import type { KeeperOptions, ManifestKeeper } from "./manifest/manifest_keeper.js";
import { admin } from "./model/principal.js";
import { fetchDiscoveryDocument } from "./oauth/discovery.js";
import { createOutboundFetch } from "./oauth/outbound.js";
import { type Clock, delay, SystemClock } from "./runtime/clock.js";
import { KeyedMutex } from "./runtime/keyed_mutex.js";
import { DoorError } from "./server/door.js";
import { Doors } from "./server/doors.js";
import { auditService } from "./service/audit_service.js";
import type { BoundService } from "./service/bound_service.js";
import { connectionService } from "./service/connection_service.js";
import { countedService } from "./service/counted_service.js";
import { nexusService } from "./service/nexus_service.js";
import { providerService } from "./service/provider_service.js";
import { tokenService } from "./service/token_service.js";
import { type DataFolderLock, lockDataFolder } from "./store/data_folder.js";
import { Store, storeFileName } from "./store/store.js";
import { DataFolderInUse, StoreDamaged } from "./store/store_error.js";
import { applyStrategy } from "./strategies/apply_strategy.js";
import { createLogger, type Logger } from "./telemetry/logger.js";
import { Metrics } from "./telemetry/metrics.js";
import { loadApiKey } from "./vault/api_key_file.js";
import { KeyFault } from "./vault/key_file.js";
import { loadKey } from "./vault/key_source.js";
import { Vault } from "./vault/vault.js";

/** From the signal to the end of the process; a pod's shortest usual grace is longer. */
const shutdownMs = 4_000;

/** What a failed store gets to refuse the commits under way; it takes milliseconds, or for ever. */
const abandonMs = 2_000;

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called once when the store takes no more writes: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** The variables that the providers file may name; those of the process by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** One running daemon: everything wired, every door open. */
export class Daemon {
  private constructor(
    readonly doors: Doors,
    private readonly parts: {
      readonly lock: DataFolderLock;
      readonly store: Store;
      readonly hub: WatchHub;
      readonly revoker: Revoker;
      readonly recovery: ImportRecovery;
      readonly ledger: ReadLedger;
      readonly unknownStates: UnknownStates;
      readonly engine: RefreshEngine;
      readonly keeper: ManifestKeeper | undefined;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {}

  /** @throws CatalogueFault, DataFolderInUse, KeyFault, StoreDamaged, DoorError */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, log, clock } = options;
    process.umask(0o077);
    const catalogue = await Catalogue.open(config.catalogFile);
    const lock = lockDataFolder(config.dataDir);
    let store: Store | undefined;
    try {
      const vault = loadVault(config, log);
      store = Store.open({
        folder: config.dataDir,
        nowMs: clock.nowMs(),
        onFatal: options.onFatal,
        audit: config.audit,
      });
      await openKeyCheck(store, vault);
      return await Daemon.#wire(options, lock, store, vault, catalogue);
    } catch (error) {
      await store?.close();
      lock.release();
      throw error;
    }
  }

  static async #wire(
    options: DaemonOptions,
    lock: DataFolderLock,
    store: Store,
    sealer: Vault,
    templates: Catalogue,
  ): Promise<Daemon> {
    const { config, log, clock, random } = options;
    const apiKeyPath = join(config.dataDir, "admin.key");
    const apiKey = loadApiKey(apiKeyPath);
    const metrics = new Metrics({ version: readVersion() });

    const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
    const outbound = createOutboundFetch();
    const servers = new AuthorizationServers({
      store,
      clock,
      log,
      fetchDocument: (issuer) => fetchDiscoveryDocument(issuer, outbound),
    });
    const grants = new Grants({ vault, clock, outbound });
    const writer = new CredentialWriter({ vault, clock, random });
    const reader = new CredentialReader({ store, vault, clock });
    const locks = new KeyedMutex<string>();
    const revocations = new RevocationQueue({ vault, clock });
    const engine = new RefreshEngine({
      store,
      vault,
      writer,
      servers,
      grants,
      revocations,
      locks,
      clock,
      random,
      log,
      metrics,
    });
    const { refresher } = engine;
    const hub = new WatchHub();
    const trial = new CredentialTrial({ apply: applyStrategy, outbound });
    const revoker = new Revoker({ store, vault, servers, grants, clock, random, log });
    const importer = new ConnectionImporter({
      store,
      vault,
      writer,
      servers,
      grants,
      checkFields: credentialCheck(trial),
      clock,
      log,
    });
    const recovery = new ImportRecovery({ store, importer, clock, random, log });
    const ledger = new ReadLedger({ store, clock, log });
    const unknownStates = new UnknownStates({ store, clock, log });
    store.onCommitted((changes) => {
      hub.announce(changes);
      engine.wake(changes);
      revoker.wake();
    });
    const capture = new CredentialCapture({ store, writer, trial, locks, clock, log });
    const { publicUrl, redirectUri, allowedReturnOrigins } = config;
    const onChanged = (providerId: string): void => engine.profileChanged(providerId);
    const registry = new ProviderRegistry({ store, vault, clock, onChanged });
    const variables = options.environment ?? processEnvironment();
    const keeper = await loadKeeper(config, { registry, variables, templates, clock, log });
    const services: BoundService[] = [
      providerService({ registry, templates, redirectUri }),
      connectionService({
        manager: new ConnectionManager({
          store,
          vault,
          servers,
          revocations,
          clock,
          publicUrl,
          allowedReturnOrigins,
        }),
        importer,
        capture,
      }),
      tokenService({
        tokens: new AuditedTokens({ manager: new TokenManager({ reader, refresher, clock }), ledger }),
        watch: new TokenWatch({ store, reader, hub, ledger, clock, random }),
      }),
      auditService({ audit: new AuditReader({ store }) }),
    ];
    services.push(nexusService(services));
    const counted = (door: "grpc" | "http"): BoundService[] =>
      services.map((service) =>
        countedService(service, (method, code) => metrics.rpcAnswered({ method, code, door })),
      );
    metrics.observe({
      connectionsByStatus: () => store.countByStatus(),
      watchSubscribers: () => hub.size,
      refreshQueueLagMs: () => engine.lagMs(),
      suspendedProviders: () => engine.suspendedProviders,
    });
    const doors = new Doors({
      ...config,
      grpcServices: counted("grpc"),
      httpServices: counted("http"),
      flow: new ConnectionCompleter({
        store,
        vault,
        writer,
        servers,
        grants,
        revocations,
        unknownStates,
        locks,
        clock,
        log,
      }),
      capture: new CaptureFormFlow({ capture, vault, log }),
      authenticate: (key) => (apiKey.key.matches(key) ? admin : undefined),
      readiness: () => ({ serving: !hub.draining, refreshing: engine.health() }),
      metrics: () => metrics.render(),
      onUnexpected: (error, where) => log.error({ err: error, where }, "unexpected error"),
      clock,
    });
    // Before the first caller, who may ask for what the file says.
    await keeper?.start();
    try {
      await doors.open();
    } catch (error) {
      await keeper?.stop();
      throw error;
    }
    engine.start();
    revoker.start();
    recovery.start();
    if (apiKey.created) log.info({ path: apiKeyPath }, "made the API key for TCP doors");
    log.info({ redirectUri }, "paste this redirect URI into the provider's console");
    log.info({ version: readVersion(), dataDir: config.dataDir, ...doors.addresses }, "nexusd is ready");
    return new Daemon(doors, {
      lock,
      store,
      hub,
      engine,
      revoker,
      recovery,
      ledger,
      unknownStates,
      keeper,
      clock,
      log,
    });
  }

  /** Applies the providers file again; nothing where there is none. */
  async reloadProviders(): Promise<void> {
    await this.parts.keeper?.reload();
  }

  /**
   * After the store has failed: starts nothing more, and waits until every commit under way has been refused.
   *
   * @returns false when that took too long: the process cannot exit in order then
   */
  async abandon(): Promise<boolean> {
    const { store, engine, clock } = this.parts;
    this.doors.stopServing();
    engine.stop().catch(() => undefined);
    return await Promise.race([store.settled().then(() => true), delay(clock, abandonMs).then(() => false)]);
  }

  /**
   * Says goodbye to watchers, lets calls and refreshes under way end and be stored, and closes. What takes longer than 4 s is cut
   * off; a refresh that is cut off finds its intent at the next start.
   */
  async stop(): Promise<void> {
    const { lock, store, hub, engine, revoker, recovery, keeper, clock, log } = this.parts;
    log.info({}, "draining");
    const force = new AbortController();
    const timer = clock.setTimer(shutdownMs, () => force.abort());
    const deadline = new Promise<void>((resolve) => force.signal.addEventListener("abort", () => resolve()));
    this.doors.stopServing();
    const closed = this.doors.close(force.signal);
    await Promise.race([
      Promise.all([hub.drain(), engine.stop(), revoker.stop(), recovery.stop(), keeper?.stop()]),
      deadline,
    ]);
    await closed;
    timer.cancel();
    await this.#flushCounts();
    await store.close();
    lock.release();
    log.info({}, "stopped");
  }

  /** Only counts are lost when the store takes no more writes. */
  async #flushCounts(): Promise<void> {
    const { ledger, unknownStates, log } = this.parts;
    try {
      await Promise.all([ledger.flush(), unknownStates.flush()]);
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
  }
}

function loadVault(config: Config, log: Logger): Vault {
  const storeExists = existsSync(join(config.dataDir, storeFileName));
  const { key, created } = loadKey(config.encryptionKey, storeExists);
  if (created && config.encryptionKey.source === "generated") {
    log.info(
      { path: config.encryptionKey.path },
      "made an encryption key: without this file nobody can open the stored credentials, with it anybody can; back it up apart from the store",
    );
  }
  const vault = new Vault(key);
  key.fill(0);
  return vault;
}

/** What reads a manifest takes long to load, and most daemons have none. */
async function loadKeeper(
  { providersFile }: Config,
  options: Omit<KeeperOptions, "path">,
): Promise<ManifestKeeper | undefined> {
  if (providersFile === undefined) return undefined;
  const { ManifestKeeper } = await import("./manifest/manifest_keeper.js");
  return new ManifestKeeper({ path: providersFile, ...options });
}

/** Runs a daemon until a signal ends it. */
export async function runDaemon(options: {
  readonly config: Config;
  readonly warnings: readonly string[];
}): Promise<ExitCode> {
  const { config } = options;
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat,
    isTTY: process.stdout.isTTY === true,
  });
  for (const warning of options.warnings) log.warn({ warning }, "check the settings");
  // Before the first door opens: whoever can see the daemon can also end it.
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  // Without a providers file SIGHUP ends the process, as it does by default.
  let onHangup = (): void => {};
  if (config.providersFile !== undefined) process.on("SIGHUP", () => onHangup());
  let failed!: (error: unknown) => void;
  const storeFailed = new Promise<unknown>((resolve) => {
    failed = resolve;
  });
  let daemon: Daemon;
  try {
    daemon = await Daemon.start({
      config,
      log,
      clock: new SystemClock(),
      random: Math.random,
      onFatal: failed,
    });
  } catch (error) {
    const known = startFailure(error);
    log.error(
      known === undefined ? { err: error } : { reason: (error as Error).message },
      "nexusd cannot start",
    );
    return known ?? exitCodes.failed;
  }
  onHangup = () => void daemon.reloadProviders();
  const code = await Promise.race([
    signalled.then(() => exitCodes.ok),
    storeFailed.then((error) => {
      log.error({ err: error }, "the store cannot be written; nothing that is not on disk was announced");
      return exitCodes.storeNotWritten;
    }),
  ]);
  if (code === exitCodes.ok) await daemon.stop();
  else if (!(await daemon.abandon())) {
    // lmdb's writer thread waits for ever after some failed writes, and `exit` would wait for it: better no code than a hang.
    log.error({}, "the store cannot be left in order: the daemon kills itself");
    process.kill(process.pid, "SIGKILL");
  }
  return code;
}

function startFailure(error: unknown): ExitCode | undefined {
  if (error instanceof CatalogueFault) return exitCodes.usage;
  if (error instanceof DataFolderInUse) return exitCodes.dataFolderInUse;
  if (error instanceof KeyFault) return exitCodes.wrongEncryptionKey;
  if (error instanceof StoreDamaged) return exitCodes.storeDamaged;
  if (error instanceof DoorError) return exitCodes.doorNotOpened;
  return undefined;
}
