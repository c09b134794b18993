import type { Domain } from "../../../core/core.js";
import type { DaemonOptions, Joined, LeaderTerm, Membership } from "../../../core/registry.js";
import type { AskApprovers, LeadingRules } from "../../../domain/access/access.js";
import type { Refresher } from "../../../domain/grants/grants.js";
import { FailedPrecondition, NotLeader, StoreFailed } from "../../../model/model.js";
import { canReachAny, type OutboundFetch, ProviderReach } from "../../../outbound/outbound.js";
import { delay, setDeadline } from "../../../runtime/runtime.js";
import { Descriptors, type Listener } from "../../../server/kit.js";
import type { AnswerPage, LeaderPage } from "../../../server/pages/kit.js";
import type { BoundService, ServiceDefinition } from "../../../service/service.js";
import { fleetService } from "../calls/fleet_service.js";
import { ledRefresher } from "../calls/led_refresher.js";
import { contractFirst, ledService } from "../calls/led_service.js";
import type { CheckedClock } from "../database/checked_clock.js";
import { ClockCheck } from "../database/clock_check.js";
import { FleetUnreachable } from "../database/connection/fleet_error.js";
import { askHubs, askTimes } from "../link/ask_hubs.js";
import { fleetListener } from "../link/fleet_listener.js";
import { LeaderCalls } from "../link/leader_calls.js";
import { heldForOthers, ledApprovals, ledRules } from "../link/led_approvals.js";
import { LogRefused } from "../replication/log_error.js";
import { importOutbox } from "../replication/outbox_codec.js";
import type { FleetConfig } from "./fleet_settings.js";
import { FleetStanding } from "./fleet_standing.js";
import { Handover } from "./handover.js";
import { Heartbeat } from "./heartbeat.js";
import { Hub, HubEnded } from "./hub.js";
import { LeadGivenBackFile } from "./lead_given_back.js";
import { LeaderHealthMonitor } from "./leader_health_monitor.js";
import type { OpenFleet } from "./open_fleet.js";
import { answerOf, pageAt, pageOf, requestOf } from "./page_messages.js";
import { StepDown } from "./step_down.js";

/** Twice as long as a hub takes to look at the lease. */
const shutdownGraceMs = 1_000;
/** For the answers that are under way then. What waits for a person, or long for a provider, is cut off after that. */
const lastAnswersMs = 2_000;
/** The hub that leads answers at once whether it can write. */
const askLeaderMs = 1_000;
/** A start does not wait longer for a database that does not answer. */
const firstLookMs = 3_000;

const olderHubs =
  "hubs of an older version may be in the fleet, which keep no labels of sessions and count no uses";

/** `clock` is that of its links; what the daemon goes by is corrected by what is found here. */
export type FleetOptions = DaemonOptions & {
  readonly settings: FleetConfig;
  readonly checkedClock: CheckedClock | undefined;
};
export type FleetResources = Pick<Parameters<Joined["member"]>[0], "vault" | "metrics"> & {
  readonly fleet: OpenFleet;
};

/** What makes a daemon a hub. */
export class Fleet implements Membership {
  readonly hub: Hub;
  readonly #calls: LeaderCalls;
  readonly #clockCheck: ClockCheck;
  readonly #heartbeat: Heartbeat;
  readonly #reach: ProviderReach;
  readonly #watch: LeaderHealthMonitor;
  readonly #standing: FleetStanding;
  readonly #givingBack: StepDown;
  #listener: Listener | undefined;
  #handover: Handover | undefined;
  #hasLed = false;
  #released = Promise.resolve(false);

  constructor(
    private readonly options: FleetOptions,
    private readonly resources: FleetResources,
  ) {
    const { config, settings, clock, checkedClock, log, onFatal } = options;
    const { fleet, vault } = resources;
    this.hub = new Hub({
      ...{ config: settings, fleet, clock, log, onEnded: onFatal },
      mayNotLead: () => this.#standing.mayNotLead(),
      isBackingOff: () => this.#watch.isBackingOff,
    });
    this.#clockCheck = new ClockCheck({
      ...{ clock, checked: checkedClock, log },
      askOthers: () => askTimes(this.#heartbeat.others, vault),
    });
    this.#heartbeat = new Heartbeat({
      ...{ hub: this.hub, fleet, clock, clockCheck: this.#clockCheck, log },
      askLeader: () => this.#troubleOfLeader(),
    });
    const { providerNetworks: networks, webProxies, dataDir } = config;
    this.#reach = new ProviderReach(clock);
    this.#watch = new LeaderHealthMonitor({
      ...{ store: fleet.store, reach: this.#reach, file: new LeadGivenBackFile(dataDir), clock, log },
      leads: () => this.leads || this.hub.role === "taking_over",
      isClockOff: () => this.#clockCheck.isWrong,
      canReachAny: (origins) => canReachAny(origins, networks, webProxies),
      askOthers: (origins) => askHubs(this.#heartbeat.others, origins, vault),
      giveBack: (trouble) => void this.#givingBack.begin(trouble),
    });
    this.#givingBack = new StepDown({
      ...{ store: fleet.store, hub: this.hub, watch: this.#watch, clock: checkedClock ?? clock, log },
      onStepDown: () => options.onStepDown?.(),
    });
    this.#standing = new FleetStanding({
      ...{ config: settings, hub: this.hub, heartbeat: this.#heartbeat, watch: this.#watch },
      ...{ fleet, vault },
    });
    this.#calls = new LeaderCalls({
      via: settings.address,
      keys: vault,
      leader: () => this.hub.leader,
      leaderChanged: () => this.hub.leaderChanged(),
      applied: (position, signal) => this.hub.catchUp.applied(position, signal),
      catchUp: () => this.hub.catchUp.toNow(),
      ignoresLimits: () => this.#standing.ignoresLimits,
      commitWait: () => this.hub.commitWait,
      recorded: async () => {
        await this.#handover?.recorded();
        await this.hub.catchUp.toNow();
      },
      clock,
      onForwarded: resources.metrics.addOutcomes(
        "nexus_fleet_forwards_total",
        "Requests for the hub that leads, by outcome: ok, unreachable (nothing was sent), lost (it may have been acted on).",
        ["ok", "unreachable", "lost"],
      ),
    });
  }

  readonly closingMs = 15_000;

  /** Another hub leads, the log is another one than the copy knows, or it could not be reached until this hub had to end. */
  isTermOver(error: unknown): boolean {
    if (error instanceof HubEnded) return true;
    if (!(error instanceof StoreFailed)) return false;
    return error.cause instanceof LogRefused || error.cause instanceof FleetUnreachable;
  }

  readonly observe = () => this.#standing.observe(this.resources.metrics);
  readonly memberStatus = () => ({ fleet: this.#standing.status() });
  readonly following = () => this.#standing.following();
  readonly lacking = (keyId: string) => this.#standing.lacking(keyId);
  readonly maySend = () => this.hub.maySend();
  readonly watched = (outbound: OutboundFetch) => this.#reach.watched(outbound);
  readonly approver = (own: AskApprovers) => ledApprovals(own, this.#calls, this.options.settings.address);
  readonly refresher = (own: Refresher) => ledRefresher(own, this.#calls);
  readonly catchUp = () => this.hub.catchUp.toNow();
  readonly led = (services: readonly ServiceDefinition[]) =>
    services.map((service) => ledService(service, this.#calls));

  get leadingRules(): LeadingRules {
    const refusal = () => this.memoryRefusal;
    return ledRules(this.#calls, { via: this.options.settings.address, maySend: this.maySend, refusal });
  }

  get memoryRefusal(): string | undefined {
    return this.#standing.ignoresLimits ? `${olderHubs}: ${contractFirst}` : undefined;
  }

  /** Whether this hub acts itself. */
  get leads(): boolean {
    return this.hub.leader === "here";
  }

  /** Asks the hub that leads for a page; its own has the limit of writes. */
  readonly page: LeaderPage = async (visit, own, listener = "browser") => {
    const answer = this.leads ? "here" : await this.#calls.page(requestOf(visit, listener));
    return answer === "here" ? await this.#calls.limited(own()) : answerOf(answer);
  };

  stepDown(): string {
    if (!this.leads) throw new NotLeader();
    if (this.#heartbeat.others.length === 0)
      throw new FailedPrecondition(
        "NO_OTHER_HUB",
        "no other hub was seen in the last 30 seconds: nobody could lead",
      );
    this.options.onStepDown?.();
    return this.options.settings.address;
  }

  /**
   * Serves the other hubs, follows, and leads when its turn comes. Resolves when the copy is what the fleet's store was at the start.
   *
   * @throws ListenerError
   */
  async open(parts: {
    readonly domain: Domain;
    readonly services: readonly BoundService[];
    readonly pages: ReadonlyMap<string, AnswerPage>;
    readonly term: LeaderTerm;
    readonly approver: AskApprovers | undefined;
  }): Promise<void> {
    const { domain, services, pages, term, approver } = parts;
    const { config, settings, clock, log } = this.options;
    const { fleet, vault } = this.resources;
    const service = fleetService({
      isLeader: () => this.leads,
      services,
      refresh: (connectionId, isDemanded, options) =>
        domain.grants.engine.refresher.refresh(connectionId, isDemanded ? "demand" : "due", options),
      page: async (request) => pageOf(await pageAt(pages, request)),
      ...heldForOthers(approver, domain.access.control, domain.access.rules),
      appendAudit: async (source, entries, via) => {
        await fleet.store.commit((tx) => importOutbox(tx, source, entries, { via, nowMs: clock.nowMs() }));
        return entries.at(-1)?.sequence ?? 0n;
      },
      position: () => fleet.store.position.position,
      reach: async (origins) => ({
        mayLead: this.#standing.couldLead(),
        reached: await canReachAny(origins, config.providerNetworks, config.webProxies),
        clockMs: clock.nowMs(),
        writeTrouble: this.#standing.writeTrouble,
      }),
    });
    this.#listener = fleetListener({
      ...{ listen: settings.listen, service, keys: vault, limits: config.limits, clock, log },
      descriptors: await Descriptors.ofProcess(),
      onUnexpected: (error, where) => log.error({ err: error, where }, "unexpected error"),
    });
    await this.#listener.open();
    this.#handover = new Handover({
      ...{ store: fleet.store, spool: domain.grants.spool, clock, log },
      ...{ calls: this.#calls, via: settings.address },
      left: () => this.hub.database?.spool,
      restored: () => this.hub.database?.restored,
    });
    const handover = this.#handover;
    this.hub.start({
      begin: async (isNewEpoch) => {
        // Before it asks providers itself: what this hub left as a follower is there, too.
        await handover.importAll(isNewEpoch);
        await term.begin(isNewEpoch);
      },
      end: () => term.end(),
    });
    const looked = this.#heartbeat.start(() => this.#look(domain)).then(() => this.#clockCheck.look());
    this.#handover.start();
    // Nobody is answered by a clock that is known to be wrong.
    await Promise.all([this.hub.catchUp.toStart(), Promise.race([looked, delay(clock, firstLookMs)])]);
  }

  /** Gives the lead back, where this hub has it. */
  async resign(): Promise<void> {
    this.#hasLed = this.leads;
    await Promise.all([this.#handover?.stop(), this.hub.resign()]);
  }

  /** The process ends at once: commits wait for nothing any more, and nothing more is written. */
  abandon(isDiskFailed: boolean): void {
    if (isDiskFailed && this.leads) this.#givingBack.diskFailed();
    this.#released = this.hub.abandon();
    this.resources.fleet.store.end();
  }

  get isDiskStuck(): boolean {
    return this.#givingBack.isDiskStuck;
  }

  /** After `abandon`: leaves what providers answered too late for the next hub that leads, and has it put on record why this one does not. */
  async drainOutbox(): Promise<void> {
    const { unrecorded } = this.#givingBack;
    const released = this.#released.then((isGivenBack) =>
      isGivenBack && unrecorded ? this.#handover?.recordAt(unrecorded) : undefined,
    );
    await Promise.all([this.#handover?.drainOutbox(), released]);
  }

  /** After `resign`. */
  async close(): Promise<void> {
    // Hubs that do not know the new leader yet ask here, and are sent to another one.
    if (this.#hasLed && this.#heartbeat.others.length > 0) await delay(this.options.clock, shutdownGraceMs);
    await this.#heartbeat.stop();
    this.#calls.close();
    const late = new AbortController();
    const timer = setDeadline(this.options.clock, lastAnswersMs, () => late.abort());
    // A hub whose connection is cut cannot know whether its request was carried out.
    await Promise.all([this.#listener?.close(late.signal), this.hub.close()]);
    timer.cancel();
  }

  async #look({ grants, operations }: Domain): Promise<void> {
    void this.#clockCheck.look();
    this.#watch.look(grants.engine.health());
    await this.#reloadKeys(operations);
  }

  async #troubleOfLeader(): Promise<string> {
    if (this.hub.role !== "follower" || this.hub.leader === undefined) return "";
    const late = new AbortController();
    const timer = this.options.clock.setTimer(askLeaderMs, () => late.abort());
    const uncounted = (): void => undefined;
    const asked = this.#calls.hand(
      late.signal,
      (client, options) => client.reach({ origins: [] }, options),
      uncounted,
    );
    const answer = await asked.catch(() => "here" as const).finally(() => timer.cancel());
    return answer === "here" ? "" : answer.writeTrouble;
  }

  /** The source of the ring may have got a key since: one that the fleet uses, or that another hub has been given. */
  async #reloadKeys({ ring }: Domain["operations"]): Promise<void> {
    const { vault } = this.resources;
    const ofOthers = this.#heartbeat.members.flatMap(({ keyIds }) => keyIds);
    const isMissing = this.#standing.lackedKeys().length > 0 || ofOthers.some((keyId) => !vault.has(keyId));
    if (!isMissing) return;
    await ring
      .exclusively(() => ring.reload())
      .catch((error: unknown) =>
        this.options.log.warn({ err: error }, "the ring lacks a key that the fleet uses"),
      );
  }
}
