import type { AccessControl, AskApprovers, HeldRequest } from "../../../domain/access/access.js";
import { NotFound, PermissionDenied, Unavailable } from "../../../model/model.js";
import { codes, WireError, wireErrorOf } from "../../../service/service.js";
import { callerOf, type FleetParts } from "../calls/fleet_service.js";
import { heldFrom, holdMessage } from "./held_request.js";
import type { LeaderCalls } from "./leader_calls.js";

/**
 * Requests wait at the hub that leads, where people of every hub see and answer them. Where that one goes away, they wait once more at the
 * next: nothing was sent, and whoever said yes is asked again.
 *
 * @param via address of this hub
 */
export function ledApprovals(
  own: AskApprovers,
  leader: Pick<LeaderCalls, "isHere" | "hand">,
  via: string,
): AskApprovers {
  return async (held: HeldRequest) => {
    if (leader.isHere) return await own(held);
    const message = { ...holdMessage(held), caller: callerOf(held.principal), via };
    // For as long as the leader holds it, and its caller waits.
    const hand = () => leader.hand(held.signal, (client, { signal }) => client.hold(message, { signal }));
    const answer = await hand().catch((error: unknown) => {
      if (isLost(error)) return hand().catch(notSent);
      throw error;
    });
    if (answer === "here") return await own(held);
    if (answer.refusal === undefined) {
      if (answer.approvers < (held.rule.approvers ?? 0)) return new Unavailable(ofOlder);
      return { approver: answer.approver };
    }
    const { code, message: text } = answer.refusal;
    if (code !== codes.permission_denied) throw wireErrorOf(answer.refusal);
    return new PermissionDenied(text);
  };
}

const ofOlder =
  "the hub that leads is of a version that asks one approver alone, and the rule has several: nothing was sent; upgrade that hub";

/** See `LeaderCalls.hand`. */
function isLost(error: unknown): boolean {
  return error instanceof WireError && error.code === codes.unavailable;
}

function notSent(error: unknown): never {
  if (!isLost(error)) throw error;
  const text =
    "the hub that held the request for approval went away: nothing was sent, send the request again";
  throw new Unavailable(text, 2_000, error);
}

/** What the leader does for those. @param own undefined where nobody is asked */
export function heldForOthers(own: AskApprovers | undefined, access: AccessControl): FleetParts["hold"] {
  return async (request, principal, signal) => {
    const connection = access.factsOf(request.connectionId);
    if (!connection || !own) throw new NotFound("connection");
    return await own({ ...heldFrom(request), principal, connection, signal });
  };
}
