import type { Authenticate } from "../../domain/access/access.js";
import type { Principal } from "../../model/access/principal.js";
import { edgePolicy } from "../../model/edge_policy.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Rate } from "../../model/limits.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { addressKey } from "../sockets/socket_guard.js";

/**
 * The same, but slows down addresses that present wrong credentials. A call without a credential is no failure.
 *
 * @param onRefused called with a credential that is not valid, once a minute for each address
 * @throws WireError at once, or as a rejection
 */
export function limitedAuthenticate(
  authenticate: Authenticate,
  failures: FailedAuthentications,
  onRefused: (origin: string) => void = () => {},
): Authenticate {
  const lines = new RateLimiter(edgePolicy.failedAuthenticationLines);
  return (presented) => {
    const { token, origin } = presented;
    if (token === undefined || token === "") return authenticate(presented);
    const refusal = failures.refusal(origin);
    if (refusal) throw toWireError(refusal);
    const judge = (principal: Principal | undefined): Principal | undefined => {
      if (principal) return principal;
      const place = addressKey(origin) ?? origin;
      if (lines.take(place)) onRefused(place);
      const tooMany = failures.failed(origin);
      if (tooMany) throw toWireError(tooMany);
      return principal;
    };
    const principal = authenticate(presented);
    return principal instanceof Promise ? principal.then(judge) : judge(principal);
  };
}

/**
 * Slows down callers that guess credentials. An address with too many failures is refused before its credential is judged, right
 * or wrong, or it could go on. On loopback, where all agents of the machine share an address, only a wrong credential is refused
 * so, and a good one passes.
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

  /** Counts a failure. @returns what to say instead of "not authenticated" */
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
