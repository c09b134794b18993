import type { Connection, Refusals } from "../../model/connections/connection.js";
import type { Clock } from "../../runtime/clock.js";
import type { DueEntry, Store } from "../../store/store.js";
import { changeConnection } from "../connections/connections.js";

/** Connections moved in one commit. */
const page = 256;
/** The newest change may be this much ahead of the clock before the clock seems to have been set back. */
const toleranceMs = 60_000;
/** A daemon that runs notices a jump within half a minute: all that came after one which it did not notice was written in this time. */
const lookedMs = 35_000;
/** Of changes that are read at a start: half a minute of a busy store. */
const maxPages = 64;

/**
 * What the newest changes of the store show of a clock that was set back while nobody looked: when the daemon did not run, or within the half
 * minute before it crashed. What was written before the jump has a time that is yet to come, and what came after it a higher revision.
 *
 * @returns the jump, 0 when there was none, and which connections changed after it
 */
export function jumpSinceLastRun(
  store: Store,
  clock: Clock,
): { readonly jumpMs: number; readonly later: ReadonlySet<string> } {
  const nowMs = clock.nowMs();
  const later = new Map<string, number>();
  let newestMs = Number.NEGATIVE_INFINITY;
  const isRecent = (timeMs: number): boolean => timeMs >= newestMs - lookedMs && timeMs <= nowMs;
  for (const connections of newestFirst(store)) {
    for (const { id, updatedAtMs, dueAtMs } of connections) {
      // What is due is moved when a jump is noticed; other changes stay in the future.
      if (dueAtMs !== undefined && updatedAtMs - nowMs > toleranceMs) {
        const firstMs = Math.min(nowMs, ...[...later.values()].filter(isRecent));
        return { jumpMs: firstMs - updatedAtMs, later: new Set(later.keys()) };
      }
      later.set(id, updatedAtMs);
      if (updatedAtMs <= nowMs) newestMs = Math.max(newestMs, updatedAtMs);
    }
    // Some keep an earlier time when they are written again, so that one alone tells nothing.
    const isLookedAt = !connections.some(({ updatedAtMs }) => isRecent(updatedAtMs));
    if (connections.length > 0 && isLookedAt) break;
  }
  return { jumpMs: 0, later: new Set() };
}

/** In pages. */
function* newestFirst(store: Store): Generator<readonly Connection[]> {
  let upto = store.revision;
  for (let read = 0; read < maxPages && upto > 0n; read++) {
    const after = upto > BigInt(page) ? upto - BigInt(page) : 0n;
    const changes = store.changesSince(after, page).filter(({ revision }) => revision <= upto);
    yield changes.reverse().flatMap(({ connectionId }) => store.getConnection(connectionId) ?? []);
    upto = after;
  }
}

/**
 * After the clock was set back by `-jumpMs`, moves all future times by as much. So work runs and tokens expire when they would have.
 *
 * @param sinceMs what was written at this time (of the clock as it is now) or later is left alone
 * @param later and so are these, which may have been written at any time
 */
export async function shiftDueTimes(
  store: Store,
  clock: Clock,
  jumpMs: number,
  sinceMs: number,
  later: ReadonlySet<string> = new Set(),
): Promise<void> {
  let after: DueEntry | undefined;
  for (;;) {
    // What is moved goes to a place before the one that was read, and is not met again.
    const entries: DueEntry[] = store.due(Number.MAX_SAFE_INTEGER, page, after);
    after = entries.at(-1);
    const nowMs = clock.nowMs();
    await store.commit((tx) => {
      for (const { connectionId } of entries) {
        const connection = tx.getConnection(connectionId);
        if (!connection || later.has(connectionId)) continue;
        if (connection.updatedAtMs >= sinceMs && connection.updatedAtMs <= nowMs) continue;
        tx.putConnection(changeConnection(connection, shifted(connection, jumpMs), nowMs));
      }
    });
    if (entries.length < page) return;
  }
}

function shifted(connection: Connection, jumpMs: number): Partial<Connection> {
  const shift = (timeMs: number | undefined): number | undefined =>
    timeMs === undefined ? undefined : Math.max(1, Math.round(timeMs + jumpMs));
  const { problem, refreshIntent } = connection;
  return {
    issuedAtMs: shift(connection.issuedAtMs),
    expiresAtMs: shift(connection.expiresAtMs),
    refreshNotBeforeMs: shift(connection.refreshNotBeforeMs),
    refreshExpiresAtMs: shift(connection.refreshExpiresAtMs),
    requestExpiresAtMs: shift(connection.requestExpiresAtMs),
    // Another daemon's is left alone for a time that begins here.
    refreshIntent: refreshIntent && {
      ...refreshIntent,
      startedAtMs: Math.round(refreshIntent.startedAtMs + jumpMs),
    },
    problem: problem && {
      ...problem,
      retryAtMs: shift(problem.retryAtMs),
      ...(problem.refused && { refused: shiftedRefusals(problem.refused, jumpMs) }),
    },
  };
}

function shiftedRefusals(refused: Refusals, jumpMs: number): Refusals {
  const { sinceMs, lastMs } = refused;
  return { ...refused, sinceMs: Math.round(sinceMs + jumpMs), lastMs: Math.round(lastMs + jumpMs) };
}
