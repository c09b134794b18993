/** Exponential backoff with full jitter: a uniform draw between 0 and the growing ceiling. */
export interface Backoff {
  /** Ceiling of the first delay. */
  readonly baseMs: number;
  /** Ceiling of every delay. */
  readonly maxMs: number;
}

/**
 * Delay before attempt number `failures + 1`.
 *
 * @param failures failed attempts in a row, at least 1
 * @param random uniform in [0, 1)
 */
export function fullJitterMs(backoff: Backoff, failures: number, random: number): number {
  const ceilingMs = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(failures - 1, 40));
  return Math.round(ceilingMs * random);
}

/** Full jitter may draw 0; nobody is asked again sooner than this. */
const minRetryMs = 1_000;

/**
 * Delay before attempt number `failures + 1`, a second at least.
 *
 * @param minDelayMs the delay that the server requests (`Retry-After`), which is never undercut
 */
export function retryDelayMs(backoff: Backoff, failures: number, random: number, minDelayMs = 0): number {
  return Math.max(minRetryMs, minDelayMs, fullJitterMs(backoff, failures, random));
}
