import type { Connection } from "../../model/connections/connection.js";
import { dueAction } from "../../model/refresh/refresh_policy.js";
import type { ChangedConnection, Changes } from "../../runtime/changes.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { DueEntry } from "../../store/store.js";
import type { StoreParts } from "../connections/connections.js";
import { jumpSinceLastRun, shiftDueTimes } from "./clock_skew.js";
import { announceExpiry, settleDue } from "./due_work.js";
import type { PendingConsents } from "./pending_consents.js";
import type { ProviderHealth } from "./provider_health.js";
import { type Refresher, waitsUntilMs } from "./refresher.js";

/** The queue is looked at this often even when nothing is due: a machine that slept, or a clock that was set, is noticed. */
const maxSleepMs = 30_000;
/** Due entries dispatched at once, before other work of the process runs: a caller waits for so many, some two ms, in the middle of a storm. */
const batch = 32;
/** A jump of the clock that matters. */
const jumpMs = 5_000;
/** Work that failed without a trace in the store is dispatched again after this, doubled each time. */
const deferMs = 1_000;
const maxDeferMs = 5 * 60_000;
/** Due work that could run and does not for this long means that the engine is stuck. */
const stuckMs = 60_000;

/** A connection whose due work is dispatched and not done. */
interface Dispatched {
  readonly dueAtMs: number;
  readonly sinceMonotonicMs: number;
  /** When watchers must be notified that its token died while it waited; undefined when never, or when they were. */
  expiresAtMs: number | undefined;
}

/**
 * One timer over the ordered queue of the store. Due work is dispatched once, in the order of the queue, behind a mark that moves forward:
 * a tick costs as much as has become due. Work that a commit puts before the mark is announced by that commit.
 */
export class RefreshScheduler {
  readonly #jumps: ClockJumps;
  readonly #dispatched = new Map<string, Dispatched>();
  readonly #deferred = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  #mark: DueEntry | undefined;
  #timer: Timer | undefined;
  #armedMs = Number.POSITIVE_INFINITY;
  /** No token of dispatched work is announced as dead before this. */
  #nextExpiryMs = Number.POSITIVE_INFINITY;
  #calmSinceMonotonicMs = 0;
  #probing = false;
  #stopped = true;

  constructor(
    private readonly deps: StoreParts & {
      readonly refresher: Refresher;
      readonly changes: Changes;
      readonly health: ProviderHealth;
      readonly pending: PendingConsents;
    },
  ) {
    this.#jumps = new ClockJumps(deps.clock);
    deps.changes.on("connections", (changed) => this.#wake(changed));
    deps.changes.on("clientAccepted", (providerId) => this.#probeNow(providerId));
  }

  start(): void {
    this.#stopped = false;
    this.#jumps.measureMs();
    this.#calmSinceMonotonicMs = this.deps.clock.monotonicMs();
    const { jumpMs: backMs, later } = jumpSinceLastRun(this.deps.store, this.deps.clock);
    if (backMs < 0) this.#setBack(backMs, this.deps.clock.nowMs(), later);
    this.#tick();
  }

  /** Looks at what a commit changed: it may be due, or due before what the timer waits for. */
  #wake(changes: readonly ChangedConnection[]): void {
    if (this.#stopped) return;
    for (const { connectionId, dueAtMs } of changes) {
      if (dueAtMs === undefined || this.#dispatched.has(connectionId)) continue;
      if (dueAtMs > this.deps.clock.nowMs()) this.#await(dueAtMs);
      else this.#look(connectionId);
    }
  }

  /** Starts nothing more and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await Promise.allSettled(this.#running);
  }

  /** How long the first entry has been due, in milliseconds; 0 when nothing is late. */
  lagMs(): number {
    const nextMs = this.deps.store.nextDueMs();
    return nextMs === undefined ? 0 : Math.max(0, this.deps.clock.nowMs() - nextMs);
  }

  /** Why due work does not move although it could; undefined when all is well. */
  stuck(): string | undefined {
    const monotonicMs = this.deps.clock.monotonicMs();
    if (this.#stopped || monotonicMs - this.#calmSinceMonotonicMs < stuckMs) return undefined;
    const [first] = this.deps.store.due(this.deps.clock.nowMs() - stuckMs, 1);
    const connection = first && this.deps.store.getConnection(first.connectionId);
    if (connection?.dueAtMs === undefined || this.#deferred.has(connection.id)) return undefined;
    const dispatched = this.#dispatched.get(connection.id);
    const waitedMs = monotonicMs - (dispatched?.sinceMonotonicMs ?? this.#calmSinceMonotonicMs);
    if (waitedMs < stuckMs || !this.deps.health.hasRoom(connection.providerId)) return undefined;
    return `due work has not moved for ${Math.round(waitedMs / 1000)} s although there is room for it`;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#watchClock();
    const nowMs = this.deps.clock.nowMs();
    const entries = this.deps.store.due(nowMs, batch, this.#mark);
    for (const entry of entries) {
      this.#mark = entry;
      const connection = this.deps.store.getConnection(entry.connectionId);
      if (connection) this.#dispatch(connection);
    }
    if (this.#nextExpiryMs <= nowMs) this.#announceExpiries(nowMs);
    this.#probe(nowMs);
    this.#arm();
  }

  /** Looks at all that is dispatched, which may be thousands: when one of them is known to be due only. */
  #announceExpiries(nowMs: number): void {
    this.#nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const [connectionId, dispatched] of this.#dispatched) {
      const { expiresAtMs = Number.POSITIVE_INFINITY } = dispatched;
      if (expiresAtMs > nowMs) {
        this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresAtMs);
        continue;
      }
      dispatched.expiresAtMs = undefined;
      this.#run(connectionId, announceExpiry(this.deps.store, connectionId, nowMs));
    }
  }

  #dispatch(connection: Connection): void {
    const { id, dueAtMs } = connection;
    if (dueAtMs === undefined || this.#dispatched.has(id)) return;
    const nowMs = this.deps.clock.nowMs();
    const isRefresh = dueAction(connection, nowMs) === "refresh";
    const untilMs = isRefresh ? waitsUntilMs(this.deps.store, connection, nowMs) : undefined;
    if (untilMs !== undefined) {
      this.#leaveAlone(id, untilMs - nowMs);
      return;
    }
    const expiresAtMs = isRefresh ? connection.expiresAtMs : undefined;
    if (expiresAtMs !== undefined) this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresAtMs);
    this.#dispatched.set(id, { dueAtMs, expiresAtMs, sinceMonotonicMs: this.deps.clock.monotonicMs() });
    const work = isRefresh
      ? this.deps.refresher.refresh(id, "due").then(() => undefined)
      : settleDue(this.deps.store, this.deps.pending, id, this.deps.clock.nowMs());
    this.#run(id, work, () => {
      this.#dispatched.delete(id);
      if (!this.#stopped) this.#lookAgain(id, dueAtMs);
    });
  }

  /** Another daemon may be refreshing it, and hold the answer. */
  #leaveAlone(connectionId: string, forMs: number): void {
    if (this.#deferred.has(connectionId)) return;
    this.#deferred.set(connectionId, 0);
    this.deps.log.warn(
      { connectionId, forMs },
      "another daemon was refreshing this connection: it is waited for",
    );
    this.deps.clock.setTimer(forMs, () => {
      this.#deferred.delete(connectionId);
      if (!this.#stopped) this.#look(connectionId);
    });
  }

  #run(connectionId: string, work: Promise<void>, done: () => void = () => undefined): void {
    const tracked = work
      .catch((error: unknown) => this.deps.log.error({ connectionId, error }, "due work failed"))
      .then(() => {
        this.#running.delete(tracked);
        done();
      });
    this.#running.add(tracked);
  }

  /** What is due as before has left no trace of its work in the store: it must not be tried in a circle. */
  #lookAgain(connectionId: string, workedAtMs: number): void {
    if (this.deps.store.getConnection(connectionId)?.dueAtMs !== workedAtMs) {
      this.#deferred.delete(connectionId);
      this.#look(connectionId);
      return;
    }
    const times = this.#deferred.get(connectionId) ?? 0;
    this.#deferred.set(connectionId, times + 1);
    this.deps.clock.setTimer(Math.min(maxDeferMs, deferMs * 2 ** Math.min(times, 20)), () => {
      if (!this.#stopped) this.#look(connectionId);
    });
  }

  #look(connectionId: string): void {
    const connection = this.#dispatched.has(connectionId)
      ? undefined
      : this.deps.store.getConnection(connectionId);
    if (connection?.dueAtMs === undefined) return;
    if (connection.dueAtMs <= this.deps.clock.nowMs()) {
      this.#dispatch(connection);
      return;
    }
    this.#await(connection.dueAtMs);
  }

  #await(dueAtMs: number): void {
    // Only after the clock was set back can something be due later and yet lie before the mark.
    if (this.#mark && dueAtMs <= this.#mark.dueAtMs) this.#mark = undefined;
    if (dueAtMs < this.#armedMs) this.#arm();
  }

  #probe(nowMs: number): void {
    const dueMs = this.#probing ? undefined : this.deps.health.nextProbeMs();
    if (dueMs === undefined || dueMs > nowMs) return;
    this.#probing = true;
    const work = this.deps.health.takeProbes().then((ids) => {
      // Whether the provider accepts the client again shows in the suspension, not here.
      for (const id of ids)
        this.#run(
          id,
          this.deps.refresher.refresh(id, "due", { isProbe: true }).then(() => undefined),
        );
    });
    this.#run("", work, () => {
      this.#probing = false;
    });
  }

  #watchClock(): void {
    const jumpedMs = this.#jumps.measureMs();
    if (Math.abs(jumpedMs) < jumpMs) return;
    this.#mark = undefined;
    this.deps.log.warn({ jumpedMs: Math.round(jumpedMs) }, "the clock of this machine was set");
    this.#calmSinceMonotonicMs = this.deps.clock.monotonicMs();
    // A timer sleeps this long at most: what was written since the jump is in the time of the clock as it is.
    if (jumpedMs < 0) this.#setBack(jumpedMs, this.deps.clock.nowMs() - maxSleepMs - 1_000);
  }

  #setBack(backMs: number, sinceMs: number, later?: ReadonlySet<string>): void {
    this.#run("", shiftDueTimes(this.deps.store, this.deps.clock, backMs, sinceMs, later));
  }

  /** The provider has accepted the client for a consent: if it is suspended, a probe goes out now. */
  #probeNow(providerId: string): void {
    this.deps.health.clientAccepted(providerId).then(
      () => this.#arm(),
      (error: unknown) =>
        this.deps.log.error({ providerId, error }, "the probe of a provider was not moved up"),
    );
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const nowMs = this.deps.clock.nowMs();
    let nextMs = Math.min(
      nowMs + maxSleepMs - this.#jumps.sinceLookMs,
      this.#nextExpiryMs,
      this.deps.store.nextDueMs(this.#mark) ?? Number.POSITIVE_INFINITY,
    );
    if (!this.#probing) nextMs = Math.min(nextMs, this.deps.health.nextProbeMs() ?? Number.POSITIVE_INFINITY);
    this.#armedMs = nextMs;
    this.#timer = this.deps.clock.setTimer(nextMs - nowMs, () => this.#tick());
  }
}

/**
 * Finds jumps of the wall clock by the monotonic one. Between two looks both move alike; what the wall clock moved more or less is
 * the jump. (A suspended machine is a jump forward: the monotonic clock of Linux stands still meanwhile.)
 */
class ClockJumps {
  #wallMs: number;
  #monotonicMs: number;

  constructor(private readonly clock: Clock) {
    this.#wallMs = clock.nowMs();
    this.#monotonicMs = clock.monotonicMs();
  }

  /** How long ago the last look was. */
  get sinceLookMs(): number {
    return this.clock.monotonicMs() - this.#monotonicMs;
  }

  /** The jump since the last look, in milliseconds; below 0 when the clock was set back. */
  measureMs(): number {
    const { clock } = this;
    const jumpMs = clock.nowMs() - this.#wallMs - this.sinceLookMs;
    this.#wallMs = clock.nowMs();
    this.#monotonicMs = clock.monotonicMs();
    return jumpMs;
  }
}
