import { daemon } from "../../../model/access/principal.js";
import { type Connection, isRefusedByApi } from "../../../model/connections/connection.js";
import { NexusError } from "../../../model/errors.js";
import type { Changes } from "../../../runtime/changes.js";
import { DueTimes, type DueWork, DueWorker } from "../../../runtime/due_worker.js";
import { unlessUnreadable } from "../../../store/records/unreadable.js";
import type { StoreParts } from "../../connections/connections.js";
import type { ConnectionCheck } from "./connection_check.js";

/** Checks that run at a time; at one provider one. */
const maxRunning = 8;
/** What is being sent when the daemon stops may end by itself for so long. */
const stopMs = 2_000;
/** Of the interval: a check is late by up to this part, so that those which became due together do not run together. */
const spread = 0.1;
/** Connections that are planned before other work of the process runs. */
const batch = 200;

/**
 * Checks connections at the interval of their profile (`Provider.check_interval`). It goes by the monotonic clock: only what was checked before
 * its start is compared with the wall clock.
 */
export class CheckSchedule {
  readonly #times = new DueTimes();
  /** `checkedAtMs` of each connection when its next check was planned. */
  readonly #planned = new Map<string, number | undefined>();
  /** By provider; undefined for none. */
  readonly #intervals = new Map<string, number | undefined>();
  readonly #planning = new Set<Promise<void>>();
  readonly #worker: DueWorker<DueWork>;

  constructor(
    private readonly deps: StoreParts & {
      readonly changes: Changes;
      /** Uniform in [0, 1). */
      readonly random: () => number;
      readonly check: Pick<ConnectionCheck, "run">;
    },
  ) {
    const { clock, log, changes } = deps;
    this.#worker = new DueWorker({
      ...{ clock, stopMs, isMonotonic: true, atMost: maxRunning, atMostIn: () => 1 },
      next: (nowMs) => this.#times.next(nowMs),
      run: ({ key }, signal) => this.#run(key, signal),
      onError: (error, { key }) =>
        log.error({ err: error, connectionId: key }, "a connection was not checked"),
    });
    changes.on("connections", (changed) => {
      if (!this.#worker.isOpen) return;
      const isNew = changed.map(({ connectionId, providerId }) => {
        if (this.#planned.has(connectionId) || this.#intervalOf(providerId) === undefined) return false;
        return this.#plan(connectionId);
      });
      if (isNew.includes(true)) this.#worker.wake();
    });
    changes.on("provider", (providerId) => {
      if (this.#worker.isOpen) this.#planAll(providerId);
    });
  }

  start(): void {
    this.#worker.start();
    for (const { id } of this.deps.store.listProviders({ limit: Number.POSITIVE_INFINITY }))
      this.#planAll(id);
  }

  /** A check under way may end; what does not is cut off, and counts. */
  async stop(): Promise<void> {
    await Promise.all([this.#worker.stop(), ...this.#planning]);
  }

  #intervalOf(providerId: string): number | undefined {
    const { store } = this.deps;
    if (!this.#intervals.has(providerId)) {
      const profile = unlessUnreadable(() => store.getProvider(providerId));
      this.#intervals.set(providerId, profile?.checkIntervalMs);
    }
    return this.#intervals.get(providerId);
  }

  /** Every connection of a provider anew, since its interval may be another one. */
  #planAll(providerId: string): void {
    const wasPlanned = this.#intervals.get(providerId) !== undefined;
    this.#intervals.delete(providerId);
    if (!wasPlanned && this.#intervalOf(providerId) === undefined) return;
    const planned = this.#planPages(providerId)
      .catch((error: unknown) => this.deps.log.error({ err: error, providerId }, "checks were not planned"))
      .finally(() => this.#planning.delete(planned));
    this.#planning.add(planned);
  }

  async #planPages(providerId: string): Promise<void> {
    for (let afterId: string | undefined; ; ) {
      const page = this.deps.store.listConnections({ providerId, afterId, limit: batch });
      for (const { id } of page) this.#plan(id);
      this.#worker.wake();
      afterId = page.at(-1)?.id;
      if (page.length < batch) return;
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.#worker.isOpen) return;
    }
  }

  /** @returns whether it is checked */
  #plan(connectionId: string): boolean {
    const { store, clock, random } = this.deps;
    this.#forget(connectionId);
    const connection = store.getConnection(connectionId);
    const intervalMs = connection && this.#intervalOf(connection.providerId);
    if (!connection || intervalMs === undefined || !isChecked(connection)) return false;
    const { checkedAtMs } = connection;
    const waitMs =
      checkedAtMs === undefined
        ? random() * intervalMs
        : leftMs(checkedAtMs, intervalMs, clock.nowMs()) + random() * spread * intervalMs;
    this.#put(connection, waitMs);
    return true;
  }

  #put({ id, providerId, checkedAtMs }: Connection, waitMs: number): void {
    this.#planned.set(id, checkedAtMs);
    this.#times.put(id, this.deps.clock.monotonicMs() + waitMs, providerId);
  }

  #forget(connectionId: string): void {
    this.#times.delete(connectionId);
    this.#planned.delete(connectionId);
  }

  async #run(connectionId: string, signal: AbortSignal): Promise<void> {
    const { store, check, random, log } = this.deps;
    const connection = store.getConnection(connectionId);
    const intervalMs = connection && this.#intervalOf(connection.providerId);
    const isDue = connection && isChecked(connection) && intervalMs !== undefined;
    // A caller has checked it since, or there is nothing to check any more.
    if (!isDue || connection.checkedAtMs !== this.#planned.get(connectionId))
      return void this.#plan(connectionId);
    const details = { connectionId, providerId: connection.providerId };
    try {
      const { outcome, status } = await check.run(connectionId, daemon, signal);
      if (outcome === "refused") log.warn({ ...details, status }, "the API refuses the credential");
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      // Cut off by the end of the daemon: it says nothing.
      if (!signal.aborted) log.info({ ...details, error: error.message }, "a check came to nothing");
    } finally {
      this.#forget(connectionId);
      const after = store.getConnection(connectionId);
      const nextMs = after && this.#intervalOf(after.providerId);
      // Whatever came of it, and wherever the wall clock is by now.
      if (after && nextMs !== undefined) this.#put(after, nextMs * (1 + random() * spread));
    }
  }
}

/** What is left of the interval. A check that lies ahead was before the clock was set back: how long ago is not known. */
function leftMs(checkedAtMs: number, intervalMs: number, nowMs: number): number {
  return Math.max(0, intervalMs - Math.max(0, nowMs - checkedAtMs));
}

function isChecked(connection: Connection): boolean {
  return connection.status === "active" || isRefusedByApi(connection);
}
