import type { ProviderReach } from "../../../outbound/outbound.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import type { askHubs } from "../link/ask_hubs.js";
import type { ReplicaStore } from "../replication/replica_store.js";
import type { LeadGivenBack, LeadGivenBackFile } from "./lead_given_back.js";

/** Why a hub that leads cannot do what a leader is for, while its lease and its database are good. */
export type LeadTrouble =
  | "clock_off"
  | "providers_unreachable"
  | "refreshes_stuck"
  | "disk_stuck"
  | "disk_failed";

const words: Readonly<Record<LeadTrouble, string>> = {
  clock_off: "its clock is not the database's",
  providers_unreachable: "it reaches no provider",
  refreshes_stuck: "its refreshes do not go on",
  disk_stuck: "its disk takes no writes",
  disk_failed: "its disk refuses writes",
};

/** A refresh begins minutes before the end of a token. */
const unreachedMs = 30_000;
/** One batch takes milliseconds. */
const stuckMs = 20_000;
/** How long who gave the lead back leads only where nobody else does, and does not give it back again. */
const standBackMs = 5 * 60_000;
/** Of those that failed, that were reached, and that the fleet has: a hub is asked for 16 at most. */
const originsOfKind = 5;
/** When nobody could lead instead, the others are asked again. */
const askAgainMs = 60_000;

export interface LeaderHealthMonitorDeps {
  /** Whether this hub leads, or begins to. */
  readonly leads: () => boolean;
  readonly store: Pick<ReplicaStore, "isWritingBatches" | "position" | "listProviders">;
  readonly reach: Pick<ProviderReach, "unreached" | "reached" | "forget">;
  readonly isClockOff: () => boolean;
  readonly canReachAny: (origins: readonly string[]) => Promise<boolean>;
  /** The other hubs: which could lead, and which of the origins they reach. */
  readonly askOthers: (origins: readonly string[]) => ReturnType<typeof askHubs>;
  readonly file: Pick<LeadGivenBackFile, "read" | "write">;
  readonly giveBack: (trouble: LeadTrouble) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Has this hub give the lead back when it cannot do what a leader is for, and another hub says that it could. */
export class LeaderHealthMonitor {
  #given: LeadGivenBack | undefined;
  /** The batch that was on its way to the disk when it was looked at last. */
  #writing: { readonly position: bigint | undefined; readonly sinceMs: number } | undefined;
  #asking: Promise<void> | undefined;
  /** Nobody else could lead when they were asked. */
  #alone: { readonly trouble: LeadTrouble; readonly askedMs: number } | undefined;

  constructor(private readonly deps: LeaderHealthMonitorDeps) {
    this.#given = deps.file.read();
  }

  /** Whether this hub gave the lead back less than five minutes ago. */
  get isBackingOff(): boolean {
    const agoMs = this.deps.clock.nowMs() - (this.#given?.atMs ?? Number.NEGATIVE_INFINITY);
    return agoMs >= 0 && agoMs < standBackMs;
  }

  /** Whether one batch has been on its way to the disk for 20 seconds. */
  get isDiskStuck(): boolean {
    const { store, clock } = this.deps;
    const writing = this.#writing;
    if (writing === undefined || !store.isWritingBatches) return false;
    return writing.position === store.position?.position && clock.monotonicMs() - writing.sinceMs >= stuckMs;
  }

  /** For an operator, each in one sentence. */
  warnings(): string[] {
    const alone =
      this.#alone && `${words[this.#alone.trouble]}, and no other hub could lead instead: it goes on`;
    const reason = words[this.#given?.reason as LeadTrouble] ?? this.#given?.reason;
    const stands = this.isBackingOff && `this hub gave the lead back, since ${reason}`;
    return [alone, stands].filter((each) => typeof each === "string");
  }

  /**
   * To be called every few seconds, while the database answers: without it the lead could not be given back.
   *
   * @param health of the refresh engine
   */
  look(health: true | string): void {
    this.#lookAtDisk();
    const { leads, log } = this.deps;
    const trouble = leads() && !this.isBackingOff ? this.#trouble(health) : undefined;
    if (trouble === undefined) this.#alone = undefined;
    else
      this.#asking ??= this.#giveBack(trouble)
        .catch((error: unknown) => log.error({ err: error }, "the other hubs could not be asked"))
        .finally(() => {
          this.#asking = undefined;
        });
  }

  /** This hub gives the lead back: the next process of it knows. */
  note(reason: LeadTrouble): void {
    this.#given = { atMs: this.deps.clock.nowMs(), reason };
    this.deps.file
      .write(this.#given)
      .catch((error: unknown) =>
        this.deps.log.warn({ err: error }, "it is not kept that the lead was given back"),
      );
  }

  #lookAtDisk(): void {
    const { store, clock } = this.deps;
    const position = store.position?.position;
    if (!store.isWritingBatches) this.#writing = undefined;
    else if (this.#writing?.position !== position) this.#writing = { position, sinceMs: clock.monotonicMs() };
  }

  #trouble(health: true | string): LeadTrouble | undefined {
    if (this.isDiskStuck) return "disk_stuck";
    if (this.deps.isClockOff()) return "clock_off";
    if (this.deps.reach.unreached(unreachedMs).length > 0) return "providers_unreachable";
    return health === true ? undefined : "refreshes_stuck";
  }

  /** One provider that lets another hub in, and not this one, is no reason: its owner could move the lead about. */
  #origins(): string[] {
    const { reach, store } = this.deps;
    const failed = reach.unreached(unreachedMs).slice(0, originsOfKind);
    const reached = reach.reached.slice(-originsOfKind);
    const urls = store.listProviders({ limit: 1_000 }).map(({ tokenUrl, issuer }) => tokenUrl || issuer);
    return [...new Set([...failed, ...reached, ...someOrigins(urls)])];
  }

  async #giveBack(trouble: LeadTrouble): Promise<void> {
    const { clock, log, reach, canReachAny, askOthers, leads, giveBack } = this.deps;
    const alone = this.#alone;
    if (alone?.trouble === trouble && clock.monotonicMs() - alone.askedMs < askAgainMs) return;
    const origins = trouble === "providers_unreachable" ? this.#origins() : [];
    // What failed may have failed a while ago, or be dead itself while nothing else was asked.
    if (origins.length > 0 && (await canReachAny(origins))) return reach.forget();
    const answers = await askOthers(origins);
    const next = answers.find(({ answer }) => answer.mayLead && (origins.length === 0 || answer.reached));
    if (!leads()) return;
    if (next === undefined) {
      if (alone?.trouble !== trouble)
        log.error({ trouble }, `this hub leads, but ${words[trouble]}, and no other hub could lead instead`);
      this.#alone = { trouble, askedMs: clock.monotonicMs() };
      return;
    }
    this.note(trouble);
    log.error(
      { trouble, couldLead: next.address },
      `this hub gives the lead of its fleet back, since ${words[trouble]}`,
    );
    giveBack(trouble);
  }
}

/** Of the providers that the fleet has, drawn at random: whose name comes first decides nothing. */
function someOrigins(urls: readonly string[]): string[] {
  const origins = new Set<string>();
  for (const url of urls) {
    if (URL.canParse(url)) origins.add(new URL(url).origin);
  }
  return [...origins]
    .map((origin) => ({ origin, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .slice(0, originsOfKind)
    .map(({ origin }) => origin);
}
