import { ResourceExhausted } from "../../model/errors.js";
import type { Rate } from "../../model/limits.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { addressKey } from "../sockets/address_key.js";

/**
 * Slows down anyone who tries credentials. An address with too many failures is refused before its credential is looked at, right
 * or wrong, or it could go on. Not so on loopback, where every agent of the machine has the same address: there
 * only what fails is answered so, and a good credential passes.
 */
export class FailedAuthentications {
  readonly #rate: Rate | undefined;
  readonly #failures: RateLimiter | undefined;

  constructor(rate: Rate | undefined) {
    this.#rate = rate;
    this.#failures = rate && new RateLimiter(rate);
  }

  /** @param origin address of the socket */
  refusal(origin: string | undefined): ResourceExhausted | undefined {
    const key = addressKey(origin);
    if (!this.#failures || key === undefined || isLoopback(key)) return undefined;
    return this.#failures.has(key) ? undefined : this.#refuse(key);
  }

  /** Counts a failure. @returns what to say in place of "not authenticated" */
  failed(origin: string | undefined): ResourceExhausted | undefined {
    const key = addressKey(origin);
    if (!this.#failures || key === undefined) return undefined;
    return this.#failures.take(key) ? undefined : this.#refuse(key);
  }

  #refuse(key: string): ResourceExhausted {
    return new ResourceExhausted("TOO_MANY_FAILED_AUTHENTICATIONS", {
      what: "calls without a valid credential from this address",
      limit: this.#rate?.burst ?? 0,
      unit: "per minute",
      setting: "NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE",
      retryAfterMs: this.#failures?.waitMs(key) ?? 1,
    });
  }
}

function isLoopback(key: string): boolean {
  return key === "::1" || key.startsWith("127.");
}
