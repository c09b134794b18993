import { join } from "node:path";
import { Catalogue } from "./catalogue/catalogue.js";
import { readVersion } from "./cli/version.js";
import type { Config } from "./config/config.js";
import { processEnvironment } from "./config/environment.js";
import { authenticateBy } from "./daemon/authenticate.js";
import { boundServices } from "./daemon/bound_services.js";
import { wireDomain } from "./daemon/domain_parts.js";
import { loadPolicy } from "./daemon/load_policy.js";
import { openVault } from "./daemon/open_vault.js";
import type { DenialLedger } from "./domain/denial_ledger.js";
import type { ImportRecovery } from "./domain/import_recovery.js";
import { openKeyCheck } from "./domain/key_check.js";
import type { ReadLedger } from "./domain/read_ledger.js";
import type { RefreshEngine } from "./domain/refresh_engine.js";
import type { Revoker } from "./domain/revoker.js";
import type { UnknownStates } from "./domain/unknown_states.js";
import type { WatchHub } from "./domain/watch_hub.js";
import type { KeeperOptions, ManifestKeeper } from "./manifest/manifest_keeper.js";
import type { PolicyKeeper } from "./policy/policy_keeper.js";
import { type Clock, delay } from "./runtime/clock.js";
import { Doors } from "./server/doors.js";
import type { BoundService } from "./service/bound_service.js";
import { countedService } from "./service/counted_service.js";
import { type DataFolderLock, lockDataFolder } from "./store/data_folder.js";
import { Store } from "./store/store.js";
import type { Logger } from "./telemetry/logger.js";
import { Metrics } from "./telemetry/metrics.js";
import { loadApiKey } from "./vault/api_key_file.js";
import type { Vault } from "./vault/vault.js";

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
      readonly denials: DenialLedger;
      readonly keeper: ManifestKeeper | undefined;
      readonly policy: PolicyKeeper | undefined;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {}

  /** @throws CatalogueFault, DataFolderInUse, KeyFault, StoreDamaged, PolicyFault, DoorError */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, log, clock } = options;
    process.umask(0o077);
    const catalogue = await Catalogue.open(config.catalogFile);
    const lock = lockDataFolder(config.dataDir);
    let store: Store | undefined;
    try {
      const vault = openVault(config, log);
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

    const parts = wireDomain({ config, store, sealer, metrics, clock, random, log });
    const { engine, hub, registry, revoker, recovery, ledger, unknownStates } = parts;
    const variables = options.environment ?? processEnvironment();
    const keeper = await loadKeeper(config, { registry, variables, templates, clock, log });
    const policy = await loadPolicy(config, { access: parts.access, store, clock, log });
    const services = boundServices(parts, templates, config);
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
      flow: parts.consent,
      capture: parts.captureForm,
      authenticate: authenticateBy(apiKey.key, parts.keys),
      readiness: () => ({ serving: !hub.draining, refreshing: engine.health() }),
      metrics: () => metrics.render(),
      onUnexpected: (error, where) => log.error({ err: error, where }, "unexpected error"),
      clock,
    });
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
    if (apiKey.created) log.info({ path: apiKeyPath }, "made the API key for TCP doors");
    log.info({ redirectUri: config.redirectUri }, "paste this redirect URI into the provider's console");
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
      denials: parts.denials,
      keeper,
      policy,
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
    const { lock, store, hub, engine, revoker, recovery, keeper, policy, clock, log } = this.parts;
    log.info({}, "draining");
    const force = new AbortController();
    const timer = clock.setTimer(shutdownMs, () => force.abort());
    const deadline = new Promise<void>((resolve) => force.signal.addEventListener("abort", () => resolve()));
    this.doors.stopServing();
    const closed = this.doors.close(force.signal);
    await Promise.race([
      Promise.all([
        hub.drain(),
        engine.stop(),
        revoker.stop(),
        recovery.stop(),
        keeper?.stop(),
        policy?.stop(),
      ]),
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
    const { ledger, unknownStates, denials, log } = this.parts;
    try {
      await Promise.all([ledger.flush(), unknownStates.flush(), denials.flush()]);
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
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
