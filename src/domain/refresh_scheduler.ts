import { type Connection, hasUsableToken } from "../model/connection.js";
import { daemon } from "../model/principal.js";
import type { Clock, Timer } from "../runtime/clock.js";
import { Semaphore } from "../runtime/semaphore.js";
import type { Store } from "../store/store.js";
import { attention, changeConnection, consentEnded } from "./connection_change.js";
import type { Log } from "./log.js";
import { dueAction } from "./refresh_policy.js";
import type { Refresher } from "./refresher.js";

/** The queue is looked at this often even when nothing is due: a machine that slept, or a clock that was set, is noticed. */
const maxSleepMs = 30_000;
/** Due entries taken from the store in one tick. */
const batch = 256;
/** Refreshes at one provider at a time. */
const perProvider = 16;

type SchedulerStore = Pick<Store, "commit" | "due" | "nextDueMs" | "getConnection">;

interface Lane {
  readonly places: Semaphore;
  readonly waiting: string[];
}

/**
 * One timer over the ordered queue of the store. What is due is dealt out to one lane per provider, so that a slow provider
 * holds up only its own connections.
 */
export class RefreshScheduler {
  readonly #store: SchedulerStore;
  readonly #refresher: Pick<Refresher, "refresh">;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #lanes = new Map<string, Lane>();
  /** Connections that were dealt out and are not done. */
  readonly #taken = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: {
    store: SchedulerStore;
    refresher: Pick<Refresher, "refresh">;
    clock: Clock;
    log: Log;
  }) {
    this.#store = options.store;
    this.#refresher = options.refresher;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  start(): void {
    this.#stopped = false;
    this.#tick();
  }

  /** Looks at the queue again, since a commit may have put something before what the timer waits for. */
  wake(): void {
    if (!this.#stopped) this.#arm();
  }

  /** Starts nothing more and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const lane of this.#lanes.values()) lane.waiting.length = 0;
    await Promise.allSettled(this.#running);
  }

  /** How long the first entry has been due, in milliseconds; 0 when nothing is late. */
  lagMs(): number {
    const nextMs = this.#store.nextDueMs();
    return nextMs === undefined ? 0 : Math.max(0, this.#clock.nowMs() - nextMs);
  }

  #tick(): void {
    if (this.#stopped) return;
    // Entries stay in the queue until their work is committed, so those dealt out already are met again and skipped.
    for (const entry of this.#store.due(this.#clock.nowMs(), batch + this.#taken.size)) {
      if (this.#taken.has(entry.connectionId)) continue;
      const connection = this.#store.getConnection(entry.connectionId);
      if (connection) this.#deal(connection);
    }
    this.#arm();
  }

  #deal(connection: Connection): void {
    this.#taken.add(connection.id);
    if (dueAction(connection, this.#clock.nowMs()) !== "refresh") {
      this.#track(connection.id, this.#handleOther(connection.id));
      return;
    }
    let lane = this.#lanes.get(connection.providerId);
    if (!lane) {
      lane = { places: new Semaphore(perProvider), waiting: [] };
      this.#lanes.set(connection.providerId, lane);
    }
    lane.waiting.push(connection.id);
    this.#pump(connection.providerId, lane);
  }

  #pump(providerId: string, lane: Lane): void {
    while (lane.waiting.length > 0 && lane.places.tryAcquire()) {
      const connectionId = lane.waiting.shift() as string;
      const refreshed = this.#refresher.refresh(connectionId).then(() => undefined);
      const released = refreshed.finally(() => {
        lane.places.release();
        if (!this.#stopped) this.#pump(providerId, lane);
        if (lane.places.idle && lane.waiting.length === 0) this.#lanes.delete(providerId);
      });
      this.#track(connectionId, released);
    }
  }

  #track(connectionId: string, work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#log.error({ connectionId, error }, "due work failed"))
      .finally(() => {
        this.#taken.delete(connectionId);
        this.#running.delete(tracked);
        this.#arm();
      });
    this.#running.add(tracked);
  }

  async #handleOther(connectionId: string): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const connection = tx.getConnection(connectionId);
      if (!connection) return;
      const action = dueAction(connection, nowMs);
      if (action === "expire_request") {
        if (connection.pendingStateHash !== undefined) tx.takeAuthorization(connection.pendingStateHash);
        const change = consentEnded(connection, "expired", "consent_expired", nowMs);
        tx.putConnection(changeConnection(connection, change, nowMs));
      } else if (action === "announce_expiry") {
        const change = expiryChange(connection, nowMs);
        tx.putConnection(changeConnection(connection, change, nowMs));
        if (change.status === "attention") {
          tx.appendAudit({
            timeMs: nowMs,
            type: "token_refresh_fatal",
            principal: daemon.name,
            connectionId,
            providerId: connection.providerId,
            reason: change.problem?.reason ?? "",
          });
        }
      } else if (action === "none") {
        tx.putConnection(changeConnection(connection, {}, connection.updatedAtMs));
      }
    });
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const nextMs = this.#store.nextDueMs(this.#taken);
    const delayMs = nextMs === undefined ? maxSleepMs : Math.min(maxSleepMs, nextMs - this.#clock.nowMs());
    this.#timer = this.#clock.setTimer(delayMs, () => this.#tick());
  }
}

/** What becomes of a connection whose token has expired: it waits for a refresh, or for a person. */
function expiryChange(connection: Connection, nowMs: number) {
  if (hasUsableToken(connection, nowMs)) return {};
  if (connection.problem?.reason === "provider_deleted")
    return attention(connection, "provider_deleted", nowMs);
  return connection.refreshable ? {} : attention(connection, "no_refresh_token", nowMs);
}
