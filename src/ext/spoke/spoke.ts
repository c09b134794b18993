import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Config, readVersion } from "../../config/config.js";
import type { Domain } from "../../core/core.js";
import { exitCodes, type Joined, type Membership, StartRefused } from "../../core/registry.js";
import { CredentialVault } from "../../domain/connections/connections.js";
import { FailedPrecondition, NotLeader } from "../../model/model.js";
import { type Clock, delay, type Log } from "../../runtime/runtime.js";
import type { ServiceDefinition } from "../../service/service.js";
import { DataFolderUnusable } from "../../store/store.js";
import { Copies } from "./copies/copies.js";
import { CopyClock, maxSilenceMs } from "./copies/copy_clock.js";
import { type CopyPosition, CopyPositionFile } from "./copy_position.js";
import { forwardedService, type UpstreamHub } from "./forwarded_service.js";
import { forwardedWrites } from "./forwarded_writes.js";
import { OwnReads } from "./own_reads.js";
import { HubLinks } from "./upstream/hub_link.js";
import { IdentityFiles } from "./upstream/identity_files.js";
import { UpstreamCalls } from "./upstream/upstream_calls.js";
import { type CopyTarget, UpstreamFollower, type WatchPlace } from "./upstream/upstream_follower.js";
import type { UpstreamConfig } from "./upstream_settings.js";

/** How long the start waits for the first copy. */
const firstCopyMs = 10_000;
/** And where there is a copy already, for what changed since. */
const catchUpMs = 2_000;

export interface SpokeOptions {
  readonly config: Config;
  readonly upstream: UpstreamConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** What is open when a daemon becomes a spoke. */
export type SpokeResources = Parameters<Joined["member"]>[0];

/** What makes a daemon a spoke: its connections are copies of what its identity may see at a hub. */
export class Spoke implements Membership {
  readonly leads = false;
  readonly memoryRefusal =
    "a spoke keeps no labels of sessions and counts no uses, because it judges requests by itself: send those of these agents through a hub";
  readonly forwardedWrites = forwardedWrites;
  readonly #links: HubLinks;
  readonly #calls: UpstreamCalls;
  readonly #file: CopyPositionFile;
  readonly #copies: Copies;
  readonly #follower: UpstreamFollower;
  readonly #ends: CopyClock;
  #last: CopyPosition;

  constructor(
    private readonly options: SpokeOptions,
    private readonly resources: SpokeResources,
  ) {
    const { config, upstream, clock, log, random } = options;
    const { store, vault: ring, metrics } = resources;
    const files = new IdentityFiles(upstream);
    const userAgent = `nexusd/${readVersion()}`;
    this.#links = new HubLinks({ urls: upstream.urls, files, userAgent, clock, random });
    this.#calls = new UpstreamCalls({
      ...{ links: this.#links, clock },
      onForwarded: metrics.addOutcomes(
        "nexus_spoke_forwards_total",
        "Requests for a hub, by outcome: ok (it answered), unreachable (nothing was sent), lost (it may have been acted on).",
        ["ok", "unreachable", "lost"],
      ),
    });
    this.#file = new CopyPositionFile(config.dataDir);
    this.#last = this.#file.read(store.databaseId) ?? this.#begun();
    const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
    this.#copies = new Copies({ store, vault, clock });
    this.#follower = new UpstreamFollower({
      ...{ links: this.#links, target: this.#target(), clock, log, random },
    });
    this.#ends = new CopyClock({
      ...{ store, copies: this.#copies, clock, log },
      lastContactAtMs: () => this.#last.lastContactAtMs,
      onSilent: () => this.#forgetPosition(),
    });
  }

  /** Nothing is sent to providers from here. */
  maySend(): boolean {
    return false;
  }

  observe(): void {
    const { metrics } = this.resources;
    metrics.addGauge("nexus_spoke_connected", "1 while a hub sends changes to this spoke.", () =>
      Number(this.#follower.isConnected),
    );
    metrics.addGauge(
      "nexus_spoke_copy_age_seconds",
      "Seconds since the last message of a hub; no value if there was none.",
      () => this.#ageMs && this.#ageMs / 1_000,
    );
  }

  refresher() {
    return {
      // What is only due the hub sees by itself, at the same time.
      refresh: async (_: string, priority = "demand") => {
        if (priority === "due") return "superseded" as const;
        throw new NotLeader();
      },
    };
  }

  led(services: readonly ServiceDefinition[], { access, reading }: Domain): ServiceDefinition[] {
    const { control, gate } = access;
    const reads = new OwnReads({
      store: this.resources.store,
      clock: this.options.clock,
      changes: this.resources.changes,
      access: control,
      gate,
      tokens: reading.tokens,
      readAudit: reading.readAudit,
      isConnected: () => this.#follower.isConnected,
      hold: (connectionId, token) => this.#copies.hold(connectionId, token),
      takeProviders: () => this.#follower.takeProviders(),
    });
    const hub: UpstreamHub = {
      call: (method, request, principal, signal) => {
        const { rules } = control.permissionsFor(principal);
        const restrictions = rules.flatMap(({ restriction }) => restriction ?? []);
        return this.#calls.call(method, request, { name: principal.name, restrictions }, signal);
      },
      copied: (...answered) => reads.copied(...answered),
      recorded: (...read) => reads.recorded(...read),
    };
    return services.map((service) => forwardedService(service, hub));
  }

  async catchUp(): Promise<void> {}

  lacking(): readonly string[] {
    return [];
  }

  stepDown(): never {
    throw new FailedPrecondition("NOT_A_HUB", "this daemon is a spoke: ask a hub of its fleet");
  }

  memberStatus() {
    const { isConnected, trouble } = this.#follower;
    const waiting = isConnected ? "" : "no hub was tried yet";
    const ageMs = this.#ageMs;
    const age = ageMs === undefined ? {} : { age: durationFromMs(Math.round(ageMs)) };
    return {
      spoke: { hub: this.#links.url, connected: isConnected, trouble: trouble?.text ?? waiting, ...age },
    };
  }

  /** For `/readyz`: hubs that are away are no reason to be asked nothing, as long as there are living tokens. */
  following(): true | string {
    if (this.#follower.isConnected) return true;
    const ageMs = this.#ageMs;
    const why = this.#follower.trouble?.text ?? "no hub was tried yet";
    if (ageMs === undefined || this.#last.position === undefined) return `there is no copy yet: ${why}`;
    return ageMs < maxSilenceMs || `no message of a hub for ${Math.round(ageMs / 1_000)} s: ${why}`;
  }

  /** Serves from the copy from now on. @throws StartRefused */
  async open(): Promise<void> {
    const { clock, log } = this.options;
    // However long ago: what lives of it is served.
    const hasCopy = this.#last.lastContactAtMs !== undefined;
    await this.#ends.start();
    const contact = this.#follower.firstContact();
    this.#follower.start();
    await Promise.race([contact, delay(clock, hasCopy ? catchUpMs : firstCopyMs)]);
    const { trouble } = this.#follower;
    if (trouble === undefined && this.#follower.isConnected) return;
    if (!hasCopy && trouble?.isRefusal) throw new StartRefused(trouble.text, exitCodes.sharedStoreNotUsable);
    log.warn({ hub: this.#links.url, hasCopy, reason: trouble?.text }, "starts without a word from a hub");
  }

  /** Follows no more. */
  async resign(): Promise<void> {
    await Promise.all([this.#follower.stop(), this.#ends.stop()]);
    this.#save();
  }

  abandon(): void {
    void this.resign();
  }

  async drainOutbox(): Promise<void> {}

  /** After `resign`. */
  async close(): Promise<void> {
    this.#links.close();
  }

  /** The first copy takes the place of whatever the folder holds. @throws DataFolderUnusable */
  #begun(): CopyPosition {
    const { store } = this.resources;
    const { dataDir } = this.options.config;
    if (store.listConnections({ limit: 1 }).length + store.listProviders({ limit: 1 }).length > 0)
      throw new DataFolderUnusable(
        `the data folder ${dataDir} holds connections of a daemon: give the spoke another one (NEXUS_DATA_DIR)`,
      );
    const begun = { databaseId: store.databaseId, position: undefined, lastContactAtMs: undefined };
    this.#file.write(begun);
    return begun;
  }

  get #ageMs(): number | undefined {
    const { lastContactAtMs } = this.#last;
    return lastContactAtMs === undefined
      ? undefined
      : Math.max(0, this.options.clock.nowMs() - lastContactAtMs);
  }

  #target(): CopyTarget {
    const { store } = this.resources;
    return {
      position: () => this.#last.position,
      beginSnapshot: () => this.#copies.beginSnapshot(),
      abandonSnapshot: () => this.#copies.abandonSnapshot(),
      put: (state) => this.#copies.put(state),
      remove: (connectionId) => this.#copies.remove(connectionId),
      settle: (position) => this.#settle(position),
      knowsProvider: (providerId) => store.getProvider(providerId) !== undefined,
      putProviders: async (profiles) => {
        const providerIds = await this.#copies.putProviders(profiles);
        this.resources.changes.emit("followed", { providerIds, apiKeyIds: [], storeRecord: false });
      },
    };
  }

  async #settle(position: WatchPlace): Promise<void> {
    await this.#copies.endSnapshot();
    const { databaseId } = this.resources.store;
    const { epoch, revision } = position;
    const lastContactAtMs = this.options.clock.nowMs();
    this.#last = { databaseId, position: { epoch, revision }, lastContactAtMs };
    this.#save();
  }

  #forgetPosition(): void {
    this.#last = { ...this.#last, position: undefined };
    this.#save();
    this.#follower.restart();
  }

  /** Without it a later start has the hub send more than is needed. */
  #save(): void {
    try {
      this.#file.write(this.#last);
    } catch (error) {
      this.options.log.error({ err: error }, "the place up to which the copy is whole cannot be written");
    }
  }
}
