import { join } from "node:path";
import { Catalogue } from "./catalogue/catalogue.js";
import { readVersion } from "./cli/version.js";
import type { Config } from "./config/config.js";
import { processEnvironment } from "./config/environment.js";
import { atMostEachMinute } from "./daemon/at_most_each_minute.js";
import { authenticateBy } from "./daemon/authenticate.js";
import { boundServices, proxyServices } from "./daemon/bound_services.js";
import { wireDomain } from "./daemon/domain_parts.js";
import { type OpenTls, openTls } from "./daemon/door_tls.js";
import { loadPolicy } from "./daemon/load_policy.js";
import { openJwt } from "./daemon/open_jwt.js";
import { closeKeyFile, type OpenedVault, openVault } from "./daemon/open_vault.js";
import type { DenialLedger } from "./domain/denial_ledger.js";
import type { ImportRecovery } from "./domain/import_recovery.js";
import { openKeyCheck } from "./domain/key_check.js";
import type { KeyringManager } from "./domain/keyring_manager.js";
import type { ReadLedger } from "./domain/read_ledger.js";
import type { RefreshEngine } from "./domain/refresh_engine.js";
import type { Revoker } from "./domain/revoker.js";
import type { TokenRescue } from "./domain/token_rescue.js";
import type { UnknownStates } from "./domain/unknown_states.js";
import type { WatchHub } from "./domain/watch_hub.js";
import type { KeeperOptions, ManifestKeeper } from "./manifest/manifest_keeper.js";
import { noTracing, type Tracing } from "./model/tracing.js";
import type { PolicyKeeper } from "./policy/policy_keeper.js";
import { type Clock, delay, setDeadline } from "./runtime/clock.js";
import { Doors } from "./server/doors.js";
import { openSocketAccess } from "./server/peer_credentials.js";
import type { BoundService } from "./service/bound_service.js";
import { countedService } from "./service/counted_service.js";
import { CallLimits, limitedService } from "./service/limited_service.js";
import { tracedService } from "./service/traced_service.js";
import { type DataFolderLock, lockDataFolder } from "./store/data_folder.js";
import { RescueFile } from "./store/rescue_file.js";
import { Store } from "./store/store.js";
import { StoreHangs } from "./store/store_error.js";
import type { Logger } from "./telemetry/logger.js";
import { Metrics } from "./telemetry/metrics.js";
import { loadApiKey } from "./vault/api_key_file.js";

/** After the store has failed: what providers answer within it goes into the rescue file. */
const abandonMs = 4_000;

/** What a store that failed at the start gets to close; it takes milliseconds, or for ever. */
const closeMs = 1_000;

/** Rows of each list of the page `/status`. */
const statusEntries = 20;

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called once when the store takes no more writes: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** None by default. */
  readonly tracing?: Tracing;
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
      readonly keyring: KeyringManager;
      readonly engine: RefreshEngine;
      readonly rescue: TokenRescue;
      readonly rescueFile: RescueFile | undefined;
      readonly keeper: ManifestKeeper | undefined;
      readonly tls: OpenTls;
      readonly denials: DenialLedger;
      readonly policy: PolicyKeeper | undefined;
      readonly drainTimeoutMs: number;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {}

  /** @throws CatalogueFault, DataFolderInUse, TlsFault, NoPeerCredentials, KeyFault, StoreDamaged, PolicyFault, StoreFailed, DoorError */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, log, clock } = options;
    process.umask(0o077);
    const catalogue = await Catalogue.open(config.catalogFile);
    const lock = lockDataFolder(config.dataDir);
    let store: Store | undefined;
    let rescueFile: RescueFile | undefined;
    let tls: OpenTls | undefined;
    const metrics = new Metrics({ version: readVersion() });
    try {
      tls = await openTls(config, options);
      const environment = options.environment ?? processEnvironment();
      const opened = await openVault({ config, environment, clock, log });
      store = Store.open({
        folder: config.dataDir,
        nowMs: clock.nowMs(),
        onFatal: options.onFatal,
        audit: config.audit,
        timing: {
          monotonicMs: () => clock.monotonicMs(),
          committed: (durationMs) => metrics.committed(durationMs),
        },
      });
      await openKeyCheck(store, opened.vault);
      rescueFile = openRescueFile(config.dataDir, log);
      return await Daemon.#wire(options, lock, store, rescueFile, opened, catalogue, tls, metrics);
    } catch (error) {
      tls?.stop();
      const late = delay(clock, closeMs).then(() => "late");
      const closed = await Promise.race([store?.close(), late]);
      rescueFile?.close();
      lock.release();
      if (closed === "late") throw new StoreHangs("the store cannot be written or closed", { cause: error });
      throw error;
    }
  }

  static async #wire(
    options: DaemonOptions,
    lock: DataFolderLock,
    store: Store,
    rescueFile: RescueFile | undefined,
    { vault: sealer, source: keySource }: OpenedVault,
    templates: Catalogue,
    tls: OpenTls,
    metrics: Metrics,
  ): Promise<Daemon> {
    const { config, log, clock, random, tracing = noTracing } = options;
    const apiKeyPath = config.access.adminKeyFile ?? join(config.dataDir, "admin.key");
    closeKeyFile(apiKeyPath, config.dataDir, log);
    const apiKey = loadApiKey(apiKeyPath, { create: config.access.adminKeyFile === undefined });
    const sockets = await openSocketAccess(config.doors.socketMode);
    const jwt = await openJwt(config, { clock, log });

    const parts = wireDomain({
      config,
      store,
      rescueFile,
      sealer,
      keySource,
      metrics,
      tracing,
      clock,
      random,
      log,
    });
    const { engine, rescue, hub, registry, revoker, recovery, ledger, unknownStates, keyring } = parts;
    const variables = options.environment ?? processEnvironment();
    const keeper = await loadKeeper(config, { registry, variables, templates, clock, log });
    const policy = await loadPolicy(config, { access: parts.access, store, clock, log });
    const services = boundServices(parts, templates, config);
    const forProxies = proxyServices(parts);
    const callLimits = new CallLimits(config.limits);
    const counted = (door: "grpc" | "http", served: readonly BoundService[]): BoundService[] =>
      served.map((service) => {
        const counting = countedService(limitedService(service, callLimits), (method, code) =>
          metrics.rpcAnswered({ method, code, door }),
        );
        return tracing === noTracing ? counting : tracedService(counting, door, tracing);
      });
    metrics.observe({
      connectionsByStatus: () => store.countByStatus(),
      watchSubscribers: () => hub.size,
      refreshQueueLagMs: () => engine.lagMs(),
      suspendedProviders: () => engine.suspendedProviders,
      refreshLoad: () => engine.load,
      unwrittenTokenSets: () => rescue.heldCount,
      certificateEndsMs: () => tls.endsMs(),
      nowMs: () => clock.nowMs(),
    });
    const doors = new Doors({
      ...config,
      grpcServices: counted("grpc", [...services, forProxies.secrets, forProxies.authorization]),
      httpServices: counted("http", services),
      authorization: counted("http", [forProxies.authorization]),
      flow: parts.consent,
      capture: parts.captureForm,
      authenticate: authenticateBy({
        adminKey: apiKey.key,
        keys: parts.keys,
        jwt,
        ownUid: process.getuid?.(),
        nowMs: () => clock.nowMs(),
      }),
      tlsOf: tls.of,
      sockets,
      readiness: () => parts.status.checks(),
      status: () => parts.status.read(statusEntries),
      metrics: () => metrics.render(),
      onUnexpected: (error, where) => log.error({ err: error, where }, "unexpected error"),
      onFull: atMostEachMinute(clock, (door) => {
        const { maxConnections } = config.limits;
        log.warn(
          { door, maxConnections, setting: "NEXUS_MAX_CONNECTIONS" },
          "a door is full: sockets are closed",
        );
      }),
      clock,
    });
    // Before anything refreshes: what the last process could not store takes its place.
    await rescue.recover();
    parts.backups.start();
    // Before the first caller, who may ask for what the file says.
    await policy?.start();
    await keeper?.start();
    try {
      await doors.open();
    } catch (error) {
      await Promise.all([keeper?.stop(), policy?.stop()]);
      throw error;
    }
    engine.start();
    revoker.start();
    recovery.start();
    keyring.start();
    if (apiKey.created) log.info({ path: apiKeyPath }, "made the API key for TCP doors");
    log.info(
      { redirectUri: config.redirectUri },
      "redirect URIs begin with this: paste the one that nexusd provider show NAME prints into the provider's console",
    );
    log.info({ version: readVersion(), dataDir: config.dataDir, ...doors.addresses }, "nexusd is ready");
    return new Daemon(doors, {
      lock,
      store,
      hub,
      engine,
      rescue,
      rescueFile,
      revoker,
      recovery,
      ledger,
      unknownStates,
      keyring,
      keeper,
      tls,
      denials: parts.denials,
      policy,
      drainTimeoutMs: config.drainTimeoutMs,
      clock,
      log,
    });
  }

  /** Reads the policy file and applies the providers file again; nothing where there is none. */
  async reloadFiles(): Promise<void> {
    const { keeper, policy } = this.parts;
    await Promise.all([policy?.reload(), keeper?.reload()]);
  }

  /**
   * After the store has failed: starts nothing more, and puts what providers issue meanwhile into the rescue file.
   *
   * @returns false when commits are still under way after 4 s: the process cannot exit in order then
   */
  async abandon(): Promise<boolean> {
    const { store, engine, rescue, clock } = this.parts;
    rescue.save();
    this.doors.stopServing();
    const stopped = engine.stop().catch(() => undefined);
    const patience = new Promise<void>((resolve) => setDeadline(clock, abandonMs, resolve));
    await Promise.race([Promise.all([store.settled(), stopped]), patience]);
    return await Promise.race([store.settled().then(() => true), delay(clock, 1).then(() => false)]);
  }

  /**
   * Says goodbye to watchers, lets calls and refreshes under way end and be stored, and closes. What takes longer than
   * `drainTimeoutMs` is cut off; a refresh that is cut off finds its intent at the next start.
   */
  async stop(): Promise<void> {
    const {
      lock,
      store,
      hub,
      engine,
      rescue,
      rescueFile,
      revoker,
      recovery,
      keyring,
      keeper,
      policy,
      tls,
      drainTimeoutMs,
      clock,
      log,
    } = this.parts;
    log.info({}, "draining");
    tls.stop();
    const force = new AbortController();
    const timer = setDeadline(clock, drainTimeoutMs, () => force.abort());
    const deadline = new Promise<void>((resolve) => force.signal.addEventListener("abort", () => resolve()));
    this.doors.stopServing();
    const closed = this.doors.close(force.signal);
    await Promise.race([
      Promise.all([
        hub.drain(),
        engine.stop(),
        revoker.stop(),
        recovery.stop(),
        keyring.stop(),
        keeper?.stop(),
        policy?.stop(),
      ]),
      deadline,
    ]);
    await closed;
    timer.cancel();
    rescue.save();
    await this.#flushCounts();
    await store.close();
    rescueFile?.close();
    lock.release();
    log.info({}, "stopped");
  }

  /** Only counts are lost when the store takes no more writes. */
  async #flushCounts(): Promise<void> {
    const { ledger, unknownStates, denials, log } = this.parts;
    try {
      await Promise.all([ledger.flush(), unknownStates.flush(), denials.flush()]);
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
  }
}

/** Without it the daemon runs, and what the store cannot take dies with the process. */
function openRescueFile(folder: string, log: Logger): RescueFile | undefined {
  try {
    const file = RescueFile.open(folder);
    if (file.fault !== undefined) log.warn({ err: file.fault }, "the rescue file has not all of its room");
    return file;
  } catch (error) {
    log.warn({ err: error }, "the rescue file cannot be opened");
    return undefined;
  }
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
