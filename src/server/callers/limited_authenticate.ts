import type { Authenticate } from "../../domain/access/presented_credentials.js";
import type { Principal } from "../../model/access/principal.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { addressKey } from "../sockets/address_key.js";
import type { FailedAuthentications } from "./address_limits.js";

/** Of lines in the log, for each address. */
const logRate = { perSecond: 1 / 60, burst: 1 };

/**
 * The same, with addresses slowed down that show wrong credentials. Who shows none at all tries nothing, and counts as nothing.
 *
 * @param onRefused told of a credential that is not valid, once a minute for each address
 * @throws WireError at once, or as a rejection
 */
export function limitedAuthenticate(
  authenticate: Authenticate,
  failures: FailedAuthentications,
  onRefused: (origin: string) => void = () => {},
): Authenticate {
  const lines = new RateLimiter(logRate);
  return (shown) => {
    const { token, origin } = shown;
    if (token === undefined || token === "") return authenticate(shown);
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
    const principal = authenticate(shown);
    return principal instanceof Promise ? principal.then(judge) : judge(principal);
  };
}
