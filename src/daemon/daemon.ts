import { join } from "node:path";
import { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import { allSettings } from "../config/settings.js";
import { readVersion } from "../config/version.js";
import type { Core } from "../core/core.js";
import type { DaemonOptions } from "../core/daemon_options.js";
import { run } from "../core/lifecycle.js";
import type { Joined, Membership, Opening } from "../core/membership.js";
import { openDomain } from "../core/open_domain.js";
import { tellOfOpenSecret } from "../core/open_secret.js";
import { type Extension, Registry, StartRefused, tablesOf } from "../core/registry.js";
import { openKeyCheck } from "../domain/operations/operations.js";
import { Changes } from "../runtime/changes.js";
import { type Clock, delay, setDeadline } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { Listeners } from "../server/listeners.js";
import type { AnswerPage } from "../server/pages/browser_pages.js";
import { refuseCopies } from "../store/files/refuse_copies.js";
import { type ApiKey, loadApiKey } from "../vault/api_key_file.js";
import { type MadeListeners, makeListeners } from "./make_listeners.js";
import { closeKeyFile } from "./open_vault.js";
import { Resources } from "./resources.js";

/** After the store has failed: what providers answer within it goes into the spool file. */
const abandonMs = 4_000;

interface WiringOptions extends DaemonOptions {
  readonly changes: Changes;
  /** Of a daemon that is one of several. */
  readonly member: Membership | undefined;
}

interface DaemonParts {
  readonly resources: Resources;
  readonly core: Core;
  readonly added: Registry["added"];
  /** Of a daemon that is one of several. */
  readonly member: Membership | undefined;
}

/** One running daemon: everything wired, every listener open. */
export class Daemon {
  /** What runs in every daemon. */
  readonly #everywhere;
  /** What a daemon starts before it serves, that is alone or leads. First, what the last process could not store takes its place. */
  readonly #term;
  /** What such a daemon does by itself, once it serves. */
  readonly #own;

  private constructor(
    readonly listeners: Listeners,
    private readonly parts: DaemonParts,
  ) {
    const { added, core } = parts;
    const { spool, engine, revoker } = core.grants;
    this.#everywhere = run(added.parts);
    this.#term = run([{ start: () => spool.recover() }, ...added.partsOfTerm]);
    this.#own = run([engine, revoker, core.provisioning.recovery, core.consents.poller, core.reading.checks]);
  }

  /** @throws CatalogueError, DataFolderInUse, TlsError, NoPeerCredentials, KeyError, StoreDamaged, StoreFailed, ListenerError, StartRefused */
  static async start(options: DaemonOptions, extensions: readonly Extension[] = []): Promise<Daemon> {
    process.umask(0o077);
    const templates = await Catalogue.open(options.config.catalogFile);
    let joined: Joined | undefined;
    const resources = await Resources.open(options, tablesOf(extensions), async (opening) => {
      joined = await joinedBy(extensions, options, opening);
      return joined;
    });
    try {
      const { store, opened, metrics } = resources;
      const changes = new Changes();
      const member = joined?.member({ store, vault: opened.vault, metrics, changes });
      return await Daemon.#wire({ ...options, changes, member }, resources, templates, extensions);
    } catch (error) {
      await resources.giveUp(error);
      throw error;
    }
  }

  static async #wire(
    options: WiringOptions,
    resources: Resources,
    templates: Catalogue,
    extensions: readonly Extension[],
  ): Promise<Daemon> {
    const { config, log, clock, member } = options;
    const adminKey = loadAdminKey(config, log, resources);
    for (const [name, path] of Object.entries(config.clientKeyFiles))
      tellOfOpenSecret("NEXUS_SIGNING_KEY_FILES", name, path, log);
    const registry = new Registry();
    const core = coreOf(options, resources, templates, extensions, registry);
    if (config.access.policyFile !== undefined && !extensions.some(({ keepsPolicy }) => keepsPolicy))
      throw new StartRefused(
        "NEXUS_POLICY_FILE is set, but this build of nexusd reads no policy files: unset it",
      );
    for (const extension of extensions) await extension.open?.(core, registry);
    observe(resources, core, clock);
    member?.observe();
    const { added } = registry;
    const made = await makeListeners(options, resources, core, { adminKey, templates, member, added });
    const { listeners } = made;
    const daemon = new Daemon(listeners, { resources, core, added, member });
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
    const { core, added, member } = this.parts;
    await this.#everywhere.start();
    if (!member) await this.#term.start();
    try {
      const term = { begin: () => this.#beginTerm(), end: () => this.#endTerm() };
      const all = new Map<string, AnswerPage>([
        ["browser", (visit) => pages.answer(visit)],
        ...added.ledPages,
      ]);
      await member?.open({ domain: core, services, pages: all, term, approver: added.approver });
      await this.listeners.open();
    } catch (error) {
      // Without a database a commit of its reign waits until `close`.
      if (member) await Promise.race([member.resign(), delay(core.clock, abandonMs)]);
      await Promise.all([this.#everywhere.stop(), this.#term.stop(), member?.close()]);
      throw error;
    }
    if (!member) await this.#own.start();
  }

  /** This daemon leads from now on. */
  async #beginTerm(): Promise<void> {
    const { store, vault } = this.parts.core;
    await openKeyCheck(store, vault);
    await this.#term.start();
    await this.#own.start();
  }

  async #endTerm(): Promise<void> {
    await Promise.all([this.#own.stop(), this.#term.stop()]);
  }

  /** How long `stop` may take; undefined for as long as it takes. */
  get stopMs(): number | undefined {
    const { member, core } = this.parts;
    return member?.closingMs === undefined ? undefined : core.config.drainTimeoutMs + member.closingMs;
  }

  /** Whether what failed ends only the part of this daemon among several. */
  isTermOver(error: unknown): boolean {
    return this.parts.member?.isTermOver?.(error) === true;
  }

  /** Has extensions read their files again. */
  async reloadFiles(): Promise<void> {
    const leads = this.parts.member?.leads ?? true;
    await Promise.all([this.#everywhere.reload(), leads ? this.#term.reload() : undefined]);
  }

  /**
   * After the store has failed: starts nothing more, and puts what providers issue meanwhile into the spool file. A hub that leads no
   * more takes up to 3 s to hand that to the one that does.
   *
   * @param isDiskFailed the store could not be written
   * @returns false when something is still being written after 4 s: the process cannot exit in order then
   */
  async abandon(isDiskFailed: boolean): Promise<boolean> {
    const { core, member } = this.parts;
    const { store, clock } = core;
    const { spool, engine } = core.grants;
    member?.abandon(isDiskFailed);
    // This thread would not come back from a disk that does not: what is held goes to the database.
    const isStuck = member?.isDiskStuck === true;
    if (!isStuck) spool.save();
    this.listeners.stopServing();
    const stopped = engine.stop().catch(() => undefined);
    const deadline = new Promise<void>((resolve) => setDeadline(clock, abandonMs, resolve));
    await Promise.race([Promise.all([store.settled(), stopped]), deadline]);
    await member?.drainOutbox();
    if (isStuck) spool.save();
    return await Promise.race([store.settled().then(() => true), delay(clock, 1).then(() => false)]);
  }

  /**
   * Tells watchers to reconnect, lets calls and refreshes under way end and be stored, and closes. What takes longer than
   * `drainTimeoutMs` is cut off; a refresh that is cut off finds its intent at the next start.
   */
  async stop(): Promise<void> {
    const { resources, core, member } = this.parts;
    const { clock, log } = core;
    log.info({}, "draining");
    resources.tls.stop();
    const force = new AbortController();
    const timer = setDeadline(clock, core.config.drainTimeoutMs, () => force.abort());
    const deadline = new Promise<void>((resolve) => force.signal.addEventListener("abort", () => resolve()));
    this.listeners.stopServing();
    const closed = this.listeners.close(force.signal);
    const ended = member ? member.resign() : this.#endTerm();
    const drained = Promise.all([core.reading.subscribers.drain(), ended, this.#everywhere.stop()]);
    await Promise.race([drained, deadline]);
    await closed;
    timer.cancel();
    core.grants.spool.save();
    await this.#flushCounts();
    await member?.close();
    await resources.close();
    log.info({}, "stopped");
  }

  /** Only counts are lost when the store takes no more writes. */
  async #flushCounts(): Promise<void> {
    const { reading, consents, access, log } = this.parts.core;
    const { readAudit, downscopedAudit } = reading;
    const audits = [readAudit, downscopedAudit, consents.unknownStateAudit, access.deniedAccess];
    try {
      await Promise.all(audits.map((audit) => audit.flush()));
    } catch (error) {
      log.error({ err: error }, "counts of the audit log could not be written");
    }
  }
}

/** What extensions build on. What they register, it finds when it is needed. */
function coreOf(
  options: WiringOptions,
  { store, opened, spoolFile, metrics }: Resources,
  templates: Catalogue,
  extensions: readonly Extension[],
  registry: Registry,
): Core {
  const { config, clock, linkClock = clock, random, log, tracing, tracedOutbound, changes, member } = options;
  const { vault, source: keySource } = opened;
  const domain = openDomain({
    config,
    store,
    vault,
    keySource,
    spoolFile,
    metrics,
    changes,
    clock,
    random,
    log,
    tracing,
    tracedOutbound,
    grantTypes: extensions.flatMap(({ grantTypes = [] }) => grantTypes),
    downscoping: extensions.find((each) => each.downscoping)?.downscoping,
    mcpLookup: extensions.find((each) => each.mcpLookup)?.mcpLookup,
    member,
    approver: registry.registeredApprover,
    memory: registry.registeredMemory,
    uses: registry.registeredUses,
  });
  return {
    ...domain,
    config,
    settings: allSettings(extensions),
    environment: options.environment ?? processEnvironment(),
    templates,
    clock,
    linkClock,
    random,
    log,
    metrics,
    store,
    vault,
    keySource,
    member,
    approvalUrl: (link) => registry.added.approvalPage?.(link),
    keepProfiles: extensions.find((each) => each.keepProfiles)?.keepProfiles,
  };
}

/** @throws StartRefused */
async function joinedBy(
  extensions: readonly Extension[],
  options: DaemonOptions,
  opening: Opening,
): Promise<Joined | undefined> {
  for (const extension of extensions) {
    const joined = await extension.join?.(options, opening);
    if (joined) return joined;
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
function observe({ metrics, store, tls }: Resources, { reading, grants }: Core, clock: Clock): void {
  const { engine, spool } = grants;
  metrics.observe(() => store.countByStatus(), {
    nexus_watch_subscribers: () => reading.subscribers.size,
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
