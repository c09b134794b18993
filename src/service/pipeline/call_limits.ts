import type { Principal } from "../../model/access/principal.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import { RateLimiter } from "./rate_limiter.js";

/** How much each principal calls, at all listeners together. */
export class CallLimits {
  readonly #limits: Limits;
  readonly #rates: RateLimiter | undefined;
  readonly #streams = new Map<string, number>();
  #streamCount = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#rates = limits.rate && new RateLimiter(limits.rate);
  }

  /** Streams open now. */
  get streams(): number {
    return this.#streamCount;
  }

  /** @throws ResourceExhausted */
  admit({ name }: Principal): void {
    const { rate } = this.#limits;
    if (!rate || !this.#rates || this.#rates.take(name)) return;
    throw new ResourceExhausted("RATE_LIMITED", {
      what: "calls of this principal",
      limit: rate.perSecond,
      unit: "per second",
      setting: "NEXUS_RATE_LIMIT",
      retryAfterMs: this.#rates.waitMs(name),
    });
  }

  /**
   * A stream counts as one call when it opens.
   *
   * @returns frees the place of the stream again
   * @throws ResourceExhausted
   */
  openStream(principal: Principal): () => void {
    this.admit(principal);
    const { name } = principal;
    const { maxStreams, maxStreamsPerPrincipal } = this.#limits;
    const own = this.#streams.get(name) ?? 0;
    if (own >= maxStreamsPerPrincipal) {
      throw tooManyStreams(
        "streams of this principal",
        maxStreamsPerPrincipal,
        "NEXUS_MAX_STREAMS_PER_PRINCIPAL",
      );
    }
    if (this.#streamCount >= maxStreams)
      throw tooManyStreams("streams in all", maxStreams, "NEXUS_MAX_STREAMS");
    this.#streams.set(name, own + 1);
    this.#streamCount++;
    return () => {
      const left = (this.#streams.get(name) ?? 1) - 1;
      if (left === 0) this.#streams.delete(name);
      else this.#streams.set(name, left);
      this.#streamCount--;
    };
  }
}

function tooManyStreams(what: string, limit: number, setting: string): ResourceExhausted {
  return new ResourceExhausted("TOO_MANY_STREAMS", { what, limit, unit: "at a time", setting });
}
