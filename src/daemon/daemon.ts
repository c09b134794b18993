import { join } from "node:path";
import { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import { allSettings } from "../config/settings.js";
import { readVersion } from "../config/version.js";
import { openKeyCheck } from "../domain/operations/key_check.js";
import { type Clock, delay, setDeadline } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { Listeners } from "../server/listeners.js";
import { refuseCopies } from "../store/files/refuse_copies.js";
import { type ApiKey, loadApiKey } from "../vault/api_key_file.js";
import type { DaemonHub } from "./daemon_hub.js";
import {
  type DaemonExtension,
  type Membership,
  type RunningExtension,
  StartRefused,
  tablesOf,
} from "./extension.js";
import { type MadeListeners, makeListeners } from "./make_listeners.js";
import { closeKeyFile, tellOfOpenSecret } from "./open_vault.js";
import { type DaemonOptions, type Opening, Resources } from "./resources.js";
import { type Domain, wireDomain } from "./wire_domain.js";

/** After the store has failed: what providers answer within it goes into the spool file. */
const abandonMs = 4_000;

interface Parts {
  readonly resources: Resources;
  readonly domain: Domain;
  readonly extensions: readonly RunningExtension[];
  /** Of a hub of a fleet, and of a spoke. */
  readonly hub: DaemonHub | undefined;
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** One running daemon: everything wired, every listener open. */
export class Daemon {
  private constructor(
    readonly listeners: Listeners,
    private readonly parts: Parts,
  ) {}

  /** @throws CatalogueError, DataFolderInUse, TlsError, NoPeerCredentials, KeyError, StoreDamaged, StoreFailed, ListenerError, StartRefused */
  static async start(options: DaemonOptions, extensions: readonly DaemonExtension[] = []): Promise<Daemon> {
    process.umask(0o077);
    const templates = await Catalogue.open(options.config.catalogFile);
    let member: Membership | undefined;
    const resources = await Resources.open(options, tablesOf(extensions), async (opening) => {
      member = await joined(options, opening, extensions);
      return member;
    });
    try {
      return await Daemon.#wire(options, resources, templates, extensions, member?.hub(resources));
    } catch (error) {
      await resources.giveUp(error);
      throw error;
    }
  }

  static async #wire(
    options: DaemonOptions,
    resources: Resources,
    templates: Catalogue,
    known: readonly DaemonExtension[],
    hub: DaemonHub | undefined,
  ): Promise<Daemon> {
    const { config, log, clock } = options;
    const { drainTimeoutMs } = config;
    const adminKey = loadAdminKey(config, log, resources);
    for (const [name, path] of Object.entries(config.clientKeyFiles))
      tellOfOpenSecret("NEXUS_SIGNING_KEY_FILES", name, path, log);
    const extensions: RunningExtension[] = [];
    const approver = () => extensions.find((each) => each.approver)?.approver;
    const domain = wireDomain({ ...options, ...grantsOf(known), hub, approver }, resources);
    const environment = options.environment ?? processEnvironment();
    const keepProfiles = known.find((each) => each.keepProfiles)?.keepProfiles;
    const settings = allSettings(known);
    const approvalUrl = (link: string) => extensions.find((each) => each.approvalUrl)?.approvalUrl?.(link);
    const core = { options, resources, domain, templates, environment, settings, approvalUrl, keepProfiles };
    if (config.access.policyFile !== undefined && !known.some(({ keepsPolicy }) => keepsPolicy))
      throw new StartRefused("NEXUS_POLICY_FILE is set, and this build of nexusd reads no policy files");
    const opened = await Promise.all(known.map((each) => each.open?.(core)));
    extensions.push(...opened.filter((each) => each !== undefined));
    observe(resources, domain, clock);
    hub?.observe();
    const made = await makeListeners(options, resources, domain, { adminKey, templates, hub, extensions });
    const { listeners } = made;
    const parts = { resources, domain, extensions, hub, drainTimeoutMs, clock, log };
    const daemon = new Daemon(listeners, parts);
    await daemon.#open(made);
    resources.newKeys.tell();
    log.info(
      { redirectUri: config.redirectUri },
      "redirect URIs start with this URL; nexusd provider show NAME prints the one to register",
    );
    log.info({ version: readVersion(), dataDir: config.dataDir, ...listeners.addresses }, "nexusd is ready");
    return daemon;
  }

  async #open({ services, pages }: MadeListeners): Promise<void> {
    const { domain, extensions, hub } = this.parts;
    if (!hub) await this.#prepare();
    await this.#startExtensions(true);
    if (!hub) await this.#startExtensions(false);
    try {
      const term = { begin: () => this.#beginTerm(), end: () => this.#rest() };
      const approver = extensions.find((each) => each.approver)?.approver;
      await hub?.open({ domain, services, pages, term, approver });
      await this.listeners.open();
    } catch (error) {
      // Without a database a commit of its reign waits until `close`.
      if (hub) await Promise.race([hub.resign(), delay(this.parts.clock, abandonMs)]);
      await Promise.all([...extensions.map((each) => each.stop?.()), hub?.close()]);
      throw error;
    }
    if (!hub) this.#begin();
  }

  /** Before anything refreshes: what the last process could not store takes its place. */
  async #prepare(): Promise<void> {
    await this.parts.domain.spool.recover();
  }

  /** This hub leads its fleet from now on. */
  async #beginTerm(): Promise<void> {
    const { resources } = this.parts;
    await openKeyCheck(resources.store, resources.opened.vault);
    await this.#prepare();
    await this.#startExtensions(false);
    this.#begin();
  }

  /** Those that run at each hub, or those of the hub that leads. */
  #extensions(onEveryHub: boolean): readonly RunningExtension[] {
    return this.parts.extensions.filter(({ isOnEveryHub = false }) => isOnEveryHub === onEveryHub);
  }

  async #startExtensions(onEveryHub: boolean): Promise<void> {
    for (const each of this.#extensions(onEveryHub)) await each.start?.();
  }

  /** What the daemon does by itself; of a fleet, the hub that leads. */
  #begin(): void {
    const { domain } = this.parts;
    domain.engine.start();
    domain.revoker.start();
    domain.recovery.start();
    domain.poller.start();
  }

  /** Ends what is under way of that, and begins nothing more. */
  async #rest(): Promise<void> {
    const { domain } = this.parts;
    await Promise.all([
      domain.engine.stop(),
      domain.revoker.stop(),
      domain.recovery.stop(),
      domain.poller.stop(),
      ...this.#extensions(false).map((each) => each.stop?.()),
    ]);
  }

  /** How long `stop` may take; undefined for as long as it takes. */
  get stopMs(): number | undefined {
    const { hub, drainTimeoutMs } = this.parts;
    return hub?.closingMs === undefined ? undefined : drainTimeoutMs + hub.closingMs;
  }

  /** Whether what failed ends only the part of this daemon in its fleet. */
  isTermOver(error: unknown): boolean {
    return this.parts.hub?.isTermOver?.(error) === true;
  }

  /** Has extensions read their files again. */
  async reloadFiles(): Promise<void> {
    const { extensions, hub } = this.parts;
    const due = hub?.leads === false ? this.#extensions(true) : extensions;
    await Promise.all(due.map((each) => each.reload?.()));
  }

  /**
   * After the store has failed: starts nothing more, and puts what providers issue meanwhile into the spool file. A hub that leads no
   * more takes up to 3 s to hand that to the one that does.
   *
   * @param isDiskFailed the store could not be written
   * @returns false when something is still being written after 4 s: the process cannot exit in order then
   */
  async abandon(isDiskFailed: boolean): Promise<boolean> {
    const { resources, domain, hub, clock } = this.parts;
    const { store } = resources;
    hub?.abandon(isDiskFailed);
    // This thread would not come back from a disk that does not: what is held goes to the database.
    const isStuck = hub?.isDiskStuck === true;
    if (!isStuck) domain.spool.save();
    this.listeners.stopServing();
    const stopped = domain.engine.stop().catch(() => undefined);
    const deadline = new Promise<void>((resolve) => setDeadline(clock, abandonMs, resolve));
    await Promise.race([Promise.all([store.settled(), stopped]), deadline]);
    await hub?.drainOutbox();
    if (isStuck) domain.spool.save();
    return await Promise.race([store.settled().then(() => true), delay(clock, 1).then(() => false)]);
  }

  /**
   * Tells watchers to reconnect, lets calls and refreshes under way end and be stored, and closes. What takes longer than
   * `drainTimeoutMs` is cut off; a refresh that is cut off finds its intent at the next start.
   */
  async stop(): Promise<void> {
    const { resources, domain, hub, drainTimeoutMs, clock, log } = this.parts;
    log.info({}, "draining");
    resources.tls.stop();
    const force = new AbortController();
    const timer = setDeadline(clock, drainTimeoutMs, () => force.abort());
    const deadline = new Promise<void>((resolve) => force.signal.addEventListener("abort", () => resolve()));
    this.listeners.stopServing();
    const closed = this.listeners.close(force.signal);
    const atRest = hub ? hub.resign() : this.#rest();
    const others = this.#extensions(true).map((each) => each.stop?.());
    await Promise.race([Promise.all([domain.subscribers.drain(), atRest, ...others]), deadline]);
    await closed;
    timer.cancel();
    domain.spool.save();
    await this.#flushCounts();
    await hub?.close();
    await resources.close();
    log.info({}, "stopped");
  }

  /** Only counts are lost when the store takes no more writes. */
  async #flushCounts(): Promise<void> {
    const { domain, log } = this.parts;
    const { readAudit, downscopedAudit, unknownStateAudit, deniedAccess } = domain;
    try {
      await Promise.all(
        [readAudit, downscopedAudit, unknownStateAudit, deniedAccess].map((audit) => audit.flush()),
      );
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
  }
}

function grantsOf(extensions: readonly DaemonExtension[]) {
  return {
    grantTypes: extensions.flatMap(({ grantTypes = [] }) => grantTypes),
    downscoping: extensions.find(({ downscoping }) => downscoping)?.downscoping,
    mcpLookup: extensions.find(({ mcpLookup }) => mcpLookup)?.mcpLookup,
  };
}

/** @throws StartRefused */
async function joined(
  options: DaemonOptions,
  opening: Opening,
  extensions: readonly DaemonExtension[],
): Promise<Membership | undefined> {
  for (const extension of extensions) {
    const member = await extension.join?.(options, opening);
    if (member) return member;
  }
  refuseCopies(options.config.dataDir);
  return undefined;
}

function loadAdminKey({ access, dataDir }: Config, log: Log, { newKeys }: Resources): ApiKey {
  const path = access.adminKeyFile ?? join(dataDir, "admin.key");
  closeKeyFile(path, dataDir, log);
  const { key, created } = loadApiKey(path, { create: access.adminKeyFile === undefined });
  if (created) newKeys.announce(path, "created the API key for TCP listeners");
  return key;
}

/** Gauges are read when they are scraped. */
function observe(
  { metrics, store, tls }: Resources,
  { subscribers, engine, spool }: Domain,
  clock: Clock,
): void {
  metrics.observe(() => store.countByStatus(), {
    nexus_watch_subscribers: () => subscribers.size,
    nexus_refresh_queue_lag_seconds: () => engine.lagMs() / 1000,
    nexus_refreshes_running: () => engine.load.running,
    nexus_refreshes_waiting: () => engine.load.waiting,
    nexus_providers_suspended: () => engine.suspendedProviders,
    nexus_unwritten_token_sets: () => spool.heldCount,
    nexus_tls_certificate_expiry_timestamp_seconds: () => {
      const endsMs = tls.endsMs();
      return endsMs === undefined ? undefined : endsMs / 1000;
    },
    nexus_time_seconds: () => clock.nowMs() / 1000,
  });
}
