import type { Authenticate } from "../../domain/access/presented_credentials.js";
import type { Principal } from "../../model/access/principal.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import type { FailedAuthentications } from "./address_limits.js";

/**
 * The same, with addresses slowed down that show wrong credentials. Who shows none at all tries nothing, and counts as nothing.
 *
 * @throws WireError at once, or as a rejection
 */
export function limitedAuthenticate(
  authenticate: Authenticate,
  failures: FailedAuthentications,
): Authenticate {
  return (shown) => {
    const { socket, token, origin } = shown;
    if (socket === "unix" || token === undefined || token === "") return authenticate(shown);
    const refusal = failures.refusal(origin);
    if (refusal) throw toWireError(refusal);
    const judge = (principal: Principal | undefined): Principal | undefined => {
      const tooMany = principal ? undefined : failures.failed(origin);
      if (tooMany) throw toWireError(tooMany);
      return principal;
    };
    const principal = authenticate(shown);
    return principal instanceof Promise ? principal.then(judge) : judge(principal);
  };
}
