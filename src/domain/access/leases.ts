import {
  type ApiKeyRecord,
  ended,
  isLive,
  type KeyLease,
  keyPrefix,
  keyPrincipalName,
  leaseFrom,
} from "../../model/access/api_key.js";
import { by } from "../../model/access/audit_event.js";
import { daemon, type Principal } from "../../model/access/principal.js";
import { FailedPrecondition, NotLeader } from "../../model/errors.js";
import type { Timer } from "../../runtime/clock.js";
import type { StoreParts } from "../connections/connections.js";

/** An end that the store did not take is tried again after it. Nobody can use the key meanwhile. */
const retryMs = 60_000;

/** A renewal is written when less than this part of the lease is left, so that one key writes three times in a lease at most. */
const writtenBelow = 2 / 3;

/** The leases of API keys: renewed by the holder of the key, else ended. */
export class Leases {
  /** By the id of the key; when it is due by the monotonic clock. */
  readonly #watched = new Map<string, { endsAtMs: number; dueMs: number; timer: Timer }>();

  constructor(
    private readonly deps: StoreParts & {
      find(name: string): ApiKeyRecord | undefined;
      /** Takes a record over; ends the calls of a key that it revokes. */
      keep(record: ApiKeyRecord): void;
    },
  ) {}

  /** Ends this key with its lease, unless another record of it comes. */
  watch(record: ApiKeyRecord): void {
    const { id, lease, expiresAtMs, revokedAtMs } = record;
    const isWatched = lease !== undefined && revokedAtMs === undefined && lease.endsAtMs !== expiresAtMs;
    const before = this.#watched.get(id);
    if (isWatched && before?.endsAtMs === lease.endsAtMs) return;
    this.#unwatch(id);
    if (!isWatched) return;
    // A clock that was set back makes no lease longer.
    const leftMs = Math.min(lease.endsAtMs - this.deps.clock.nowMs(), lease.durationMs);
    this.#arm(record, lease.endsAtMs, leftMs);
  }

  #arm(record: ApiKeyRecord, endsAtMs: number, delayMs: number): void {
    const { clock } = this.deps;
    const timer = clock.setTimer(delayMs, () => void this.#lapse(record, endsAtMs));
    this.#watched.set(record.id, { endsAtMs, dueMs: clock.monotonicMs() + delayMs, timer });
  }

  #unwatch(id: string): void {
    this.#watched.get(id)?.timer.cancel();
    this.#watched.delete(id);
  }

  /**
   * Moves the end of the caller's own key, if that is due.
   *
   * @returns the lease as it is now
   * @throws FailedPrecondition (NO_LEASE); Unauthenticated when it has ended
   */
  async renew({ name, kind, onBehalfOf }: Principal): Promise<KeyLease> {
    const { store, clock, find, keep } = this.deps;
    const isOwn = kind === "key" && name.startsWith("key:") && onBehalfOf === undefined;
    const record = isOwn ? find(name.slice(keyPrefix.length)) : undefined;
    if (!record?.lease)
      throw new FailedPrecondition("NO_LEASE", "this caller's credential has no lease to renew");
    const { id, lease } = record;
    const nowMs = clock.nowMs();
    const dueMs = this.#watched.get(id)?.dueMs;
    // By both clocks: either may have been moved, or have stood still.
    const leftMs = Math.min(lease.endsAtMs - nowMs, (dueMs ?? 0) - clock.monotonicMs());
    const isWhole = lease.endsAtMs === record.expiresAtMs || leftMs > writtenBelow * lease.durationMs;
    if (isWhole && isLive(record, nowMs)) return lease;
    const renewed = await store.commit((tx) => {
      const before = tx.getApiKey(id);
      if (!before?.lease || !isLive(before, nowMs)) throw ended(before);
      if (before.lease.endsAtMs !== lease.endsAtMs) return { ...before, lease: before.lease };
      const after = { ...before, lease: leaseFrom(nowMs, lease.durationMs, before.expiresAtMs) };
      tx.putApiKey(after);
      return after;
    });
    this.#unwatch(id);
    keep(renewed);
    return renewed.lease;
  }

  async #lapse({ id, name }: ApiKeyRecord, endsAtMs: number): Promise<void> {
    const { store, clock, log, find, keep } = this.deps;
    const record = find(name);
    if (!record) return;
    const revoked = { revokedAtMs: clock.nowMs(), revokedBy: daemon.name };
    // At once: what is open does not wait for the disk.
    keep({ ...record, ...revoked });
    try {
      const stored = await store.commit((tx) => {
        const before = tx.getApiKey(id);
        if (before?.revokedAtMs !== undefined || before?.lease?.endsAtMs !== endsAtMs) return before;
        const after = { ...before, ...revoked };
        tx.putApiKey(after);
        const event = { timeMs: revoked.revokedAtMs, type: "api_key.lapsed", ...by(daemon) } as const;
        tx.appendAudit({ ...event, reason: keyPrincipalName(name) });
        return after;
      });
      if (stored) keep(stored);
    } catch (error) {
      if (!(error instanceof NotLeader)) log.error({ err: error }, "the end of a lease could not be stored");
      this.#arm(record, endsAtMs, retryMs);
    }
  }
}
