import { TokenBucket } from "limiter";
import type { Rate } from "../../model/limits.js";
import { BoundedMap } from "../../runtime/bounded_map.js";

/** Keys whose buckets are kept; beyond it the bucket that rested longest is forgotten, which does its key no harm. */
const maxKeys = 10_000;

/**
 * A token bucket for each key: it holds `burst`, and fills at `perSecond`. No timer runs; a call costs one look-up. The
 * time is the library's own and monotonic, so that setting the clock of the machine neither opens nor shuts it.
 */
export class RateLimiter {
  readonly #buckets: BoundedMap<string, TokenBucket>;
  readonly #rate: Rate;

  constructor(rate: Rate, keys: number = maxKeys) {
    this.#rate = rate;
    this.#buckets = new BoundedMap(keys);
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** @returns whether one more is within the rate, and then it is counted */
  take(key: string): boolean {
    return this.#bucketOf(key).tryRemoveTokens(1);
  }

  /** Whether one more would be within the rate; counts nothing, and makes no bucket. */
  has(key: string): boolean {
    const bucket = this.#buckets.get(key);
    return bucket === undefined || bucket.getWaitTime(1) === 0;
  }

  /** How long until one more is within the rate, in milliseconds; at least 1. */
  waitMs(key: string): number {
    return Math.max(1, this.#buckets.get(key)?.getWaitTime(1) ?? 1);
  }

  #bucketOf(key: string): TokenBucket {
    const known = this.#buckets.get(key);
    if (known) return known;
    const { perSecond, burst } = this.#rate;
    const bucket = new TokenBucket({ bucketSize: burst, tokensPerInterval: perSecond, interval: 1_000 });
    bucket.content = burst;
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
