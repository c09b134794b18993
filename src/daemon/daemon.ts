import { join } from "node:path";
import { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import { readVersion } from "../config/version.js";
import { authenticateBy } from "../domain/access/authenticate.js";
import type { DeniedAccessAudit } from "../domain/access/denied_access_audit.js";
import type { ImportRecovery } from "../domain/connections/import_recovery.js";
import type { UnknownStateAudit } from "../domain/consent/unknown_state_audit.js";
import type { Revoker } from "../domain/grants/revoker.js";
import type { TokenSpool } from "../domain/grants/token_spool.js";
import { openKeyCheck } from "../domain/operations/key_check.js";
import type { KeyringManager } from "../domain/operations/keyring_manager.js";
import type { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import type { ReadAudit } from "../domain/tokens/read_audit.js";
import type { WatchHub } from "../domain/tokens/watch_hub.js";
import type { KeeperOptions, ManifestKeeper } from "../manifest/manifest_keeper.js";
import { noTracing, type Tracing } from "../model/tracing.js";
import type { PolicyKeeper } from "../policy/policy_keeper.js";
import { type Clock, delay, setDeadline } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { openSocketAccess } from "../server/callers/peer_credentials.js";
import { Listeners } from "../server/listeners.js";
import { CallLimits } from "../service/pipeline/call_limits.js";
import { CallPipeline } from "../service/pipeline/call_pipeline.js";
import { type DataFolderLock, lockDataFolder } from "../store/files/data_folder.js";
import { SpoolFile } from "../store/files/spool_file.js";
import { StoreHangs } from "../store/lmdb/store_error.js";
import { Store } from "../store/store.js";
import { Metrics } from "../telemetry/metrics.js";
import { loadApiKey } from "../vault/api_key_file.js";
import { atMostEachMinute } from "./at_most_each_minute.js";
import { definedServices, proxyServices } from "./bound_services.js";
import { wireDomain } from "./domain_parts.js";
import { type OpenTls, openTls } from "./door_tls.js";
import { loadPolicy } from "./load_policy.js";
import { openJwt } from "./open_jwt.js";
import { closeKeyFile, type OpenedVault, openVault } from "./open_vault.js";

/** After the store has failed: what providers answer within it goes into the spool file. */
const abandonMs = 4_000;

/** What a store that failed at the start gets to close; it takes milliseconds, or for ever. */
const closeMs = 1_000;

/** Rows of each list of the page `/status`. */
const statusEntries = 20;

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Log;
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

/** One running daemon: everything wired, every listener open. */
export class Daemon {
  private constructor(
    readonly listeners: Listeners,
    private readonly parts: {
      readonly lock: DataFolderLock;
      readonly store: Store;
      readonly hub: WatchHub;
      readonly revoker: Revoker;
      readonly recovery: ImportRecovery;
      readonly readAudit: ReadAudit;
      readonly unknownStateAudit: UnknownStateAudit;
      readonly keyring: KeyringManager;
      readonly engine: RefreshEngine;
      readonly spool: TokenSpool;
      readonly spoolFile: SpoolFile | undefined;
      readonly keeper: ManifestKeeper | undefined;
      readonly tls: OpenTls;
      readonly deniedAccess: DeniedAccessAudit;
      readonly policy: PolicyKeeper | undefined;
      readonly drainTimeoutMs: number;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** @throws CatalogueError, DataFolderInUse, TlsError, NoPeerCredentials, KeyError, StoreDamaged, PolicyError, StoreFailed, ListenerError */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, log, clock } = options;
    process.umask(0o077);
    const catalogue = await Catalogue.open(config.catalogFile);
    const lock = lockDataFolder(config.dataDir);
    let store: Store | undefined;
    let spoolFile: SpoolFile | undefined;
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
      spoolFile = openSpoolFile(config.dataDir, log);
      return await Daemon.#wire(options, lock, store, spoolFile, opened, catalogue, tls, metrics);
    } catch (error) {
      tls?.stop();
      const late = delay(clock, closeMs).then(() => "late");
      const closed = await Promise.race([store?.close(), late]);
      spoolFile?.close();
      lock.release();
      if (closed === "late") throw new StoreHangs("the store cannot be written or closed", { cause: error });
      throw error;
    }
  }

  static async #wire(
    options: DaemonOptions,
    lock: DataFolderLock,
    store: Store,
    spoolFile: SpoolFile | undefined,
    { vault: sealer, source: keySource }: OpenedVault,
    templates: Catalogue,
    tls: OpenTls,
    metrics: Metrics,
  ): Promise<Daemon> {
    const { config, log, clock, random, tracing = noTracing } = options;
    const apiKeyPath = config.access.adminKeyFile ?? join(config.dataDir, "admin.key");
    closeKeyFile(apiKeyPath, config.dataDir, log);
    const apiKey = loadApiKey(apiKeyPath, { create: config.access.adminKeyFile === undefined });
    const sockets = await openSocketAccess(config.listeners.socketMode);
    const jwt = await openJwt(config, { clock, log });

    const parts = wireDomain({
      config,
      store,
      spoolFile,
      sealer,
      keySource,
      metrics,
      tracing,
      clock,
      random,
      log,
    });
    const { engine, spool, hub, registry, revoker, recovery, readAudit, unknownStateAudit, keyring } = parts;
    const variables = options.environment ?? processEnvironment();
    const keeper = await loadKeeper(config, { registry, variables, templates, clock, log });
    const policy = await loadPolicy(config, { access: parts.access, store, clock, log });
    const services = definedServices(parts, templates, config, () => clock.nowMs());
    const forProxies = proxyServices(parts);
    const limits = new CallLimits(config.limits);
    const pipeline = (listener: "grpc" | "http"): CallPipeline => {
      const onAnswered = (method: string, code: string): void =>
        metrics.rpcAnswered({ method, code, listener });
      return new CallPipeline({ guard: parts.guard, calls: { listener, limits, onAnswered, tracing } });
    };
    const [grpc, http] = [pipeline("grpc"), pipeline("http")];
    metrics.observe({
      connectionsByStatus: () => store.countByStatus(),
      watchSubscribers: () => hub.size,
      refreshQueueLagMs: () => engine.lagMs(),
      suspendedProviders: () => engine.suspendedProviders,
      refreshLoad: () => engine.load,
      unwrittenTokenSets: () => spool.heldCount,
      certificateEndsMs: () => tls.endsMs(),
      nowMs: () => clock.nowMs(),
    });
    const listeners = new Listeners({
      ...config,
      grpcServices: [...services, forProxies.secrets, forProxies.authorization].map((one) => grpc.bind(one)),
      httpServices: services.map((one) => http.bind(one)),
      authorization: [http.bind(forProxies.authorization)],
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
      onFull: atMostEachMinute(clock, (listener) => {
        const { maxConnections } = config.limits;
        log.warn(
          { listener, maxConnections, setting: "NEXUS_MAX_CONNECTIONS" },
          "a listener is full: sockets are closed",
        );
      }),
      clock,
    });
    // Before anything refreshes: what the last process could not store takes its place.
    await spool.recover();
    parts.backups.start();
    // Before the first caller, who may ask for what the file says.
    await policy?.start();
    await keeper?.start();
    try {
      await listeners.open();
    } catch (error) {
      await Promise.all([keeper?.stop(), policy?.stop()]);
      throw error;
    }
    engine.start();
    revoker.start();
    recovery.start();
    keyring.start();
    if (apiKey.created) log.info({ path: apiKeyPath }, "made the API key for TCP listeners");
    log.info(
      { redirectUri: config.redirectUri },
      "redirect URIs begin with this: paste the one that nexusd provider show NAME prints into the provider's console",
    );
    log.info({ version: readVersion(), dataDir: config.dataDir, ...listeners.addresses }, "nexusd is ready");
    return new Daemon(listeners, {
      lock,
      store,
      hub,
      engine,
      spool,
      spoolFile,
      revoker,
      recovery,
      readAudit,
      unknownStateAudit,
      keyring,
      keeper,
      tls,
      deniedAccess: parts.deniedAccess,
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
   * After the store has failed: starts nothing more, and puts what providers issue meanwhile into the spool file.
   *
   * @returns false when commits are still under way after 4 s: the process cannot exit in order then
   */
  async abandon(): Promise<boolean> {
    const { store, engine, spool, clock } = this.parts;
    spool.save();
    this.listeners.stopServing();
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
      spool,
      spoolFile,
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
    this.listeners.stopServing();
    const closed = this.listeners.close(force.signal);
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
    spool.save();
    await this.#flushCounts();
    await store.close();
    spoolFile?.close();
    lock.release();
    log.info({}, "stopped");
  }

  /** Only counts are lost when the store takes no more writes. */
  async #flushCounts(): Promise<void> {
    const { readAudit, unknownStateAudit, deniedAccess, log } = this.parts;
    try {
      await Promise.all([readAudit.flush(), unknownStateAudit.flush(), deniedAccess.flush()]);
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
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

/** What reads a manifest takes long to load, and most daemons have none. */
async function loadKeeper(
  { providersFile }: Config,
  options: Omit<KeeperOptions, "path">,
): Promise<ManifestKeeper | undefined> {
  if (providersFile === undefined) return undefined;
  const { ManifestKeeper } = await import("../manifest/manifest_keeper.js");
  return new ManifestKeeper({ path: providersFile, ...options });
}
