import { randomUUID } from "node:crypto";
import type {
  AccessControl,
  AskApprovers,
  HeldRequest,
  LeadingRules,
  RequestRules,
} from "../../../domain/access/access.js";
import type { HoldResponse } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import {
  FailedPrecondition,
  NexusError,
  NotFound,
  PermissionDenied,
  Unavailable,
  type Use,
} from "../../../model/model.js";
import { BoundedMap } from "../../../runtime/runtime.js";
import { codes, fromWireError, WireError, wireErrorOf } from "../../../service/service.js";
import { callerOf, type FleetParts } from "../calls/fleet_service.js";
import { askedFrom, heldFrom, holdMessage, ledMessage } from "./held_request.js";
import type { LeaderCalls } from "./leader_calls.js";

/** Uses that another hub may still take back. */
const maxTakenBack = 10_000;

type HandingLeader = Pick<LeaderCalls, "isHere" | "hand">;

/**
 * Requests wait at the hub that leads, where people of every hub see and answer them. Where that one goes away, they wait once more at the
 * next: nothing was sent, and whoever said yes is asked again.
 *
 * @param via address of this hub
 */
export function ledApprovals(own: AskApprovers, leader: HandingLeader, via: string): AskApprovers {
  return async (held: HeldRequest) => {
    if (leader.isHere) return await own(held);
    const message = { ...holdMessage(held), caller: callerOf(held.principal), via };
    // For as long as the leader holds it, and its caller waits.
    const answer = await twice(() =>
      leader.hand(held.signal, (client, { signal }) => client.hold(message, { signal })),
    );
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

/**
 * The hub that leads decides over requests that go by earlier ones, of whichever hub. What it answers is durable. Where that one goes away, the
 * next decides: a use that the first one counted was not given.
 *
 * @param options.maySend whether no other hub can lead now
 * @param options.refusal see `Membership.memoryRefusal`
 */
export function ledRules(
  leader: HandingLeader,
  options: {
    /** Address of this hub. */
    readonly via: string;
    readonly maySend: () => boolean;
    readonly refusal: () => string | undefined;
  },
): LeadingRules {
  return {
    get place() {
      if (!leader.isHere) return "elsewhere";
      return options.maySend() ? "here" : "unsure";
    },
    admit: async (asked) => {
      const refusal = options.refusal();
      if (refusal !== undefined) throw new FailedPrecondition("OLDER_HUBS", refusal);
      const message = { ...ledMessage(asked), caller: callerOf(asked.principal), via: options.via };
      const { signal: whole = new AbortController().signal } = asked;
      const answer = await twice(() =>
        leader.hand(whole, (client, { signal, timeoutMs }) =>
          client.hold(message, asked.mayWait ? { signal } : { signal, timeoutMs }),
        ),
      ).catch((error: unknown) => {
        throw fromWireError(error);
      });
      return answer === "here" ? answer : ledUseOf(answer, leader);
    },
  };
}

/** @throws NexusError */
function ledUseOf({ decided, refusal, rule, shadow, approver, useId }: HoldResponse, leader: HandingLeader) {
  const use = {
    ...(rule !== "" && { rule }),
    ...(shadow !== "" && { shadow }),
    ...(approver !== "" && { approver }),
  };
  if (refusal) {
    const error = fromWireError(wireErrorOf(refusal));
    if (error instanceof NexusError) error.use = use;
    throw error;
  }
  if (!decided) throw new Unavailable("the hub that leads is of an older version: nothing was sent", 2_000);
  const ignored = (): void => undefined;
  const takeBack = (): void => {
    if (useId === "") return;
    const { signal } = new AbortController();
    // Where it is lost, one use too few is left.
    leader.hand(signal, (client, options) => client.takeBack({ useId }, options), ignored).catch(ignored);
  };
  return { use, takeBack };
}

/** See `LeaderCalls.hand`. @throws Unavailable where that fails twice, and what the leader answers otherwise */
async function twice<T>(hand: () => Promise<T>): Promise<T> {
  return await hand().catch((error: unknown) => {
    if (isLost(error)) return hand().catch(notSent);
    throw error;
  });
}

function isLost(error: unknown): boolean {
  return error instanceof WireError && error.code === codes.unavailable;
}

function notSent(error: unknown): never {
  if (!isLost(error)) throw error;
  const text = "the hub that decides over the request went away: nothing was sent, send the request again";
  throw new Unavailable(text, 2_000, error);
}

/** What the leader does for those. @param own undefined where nobody is asked */
export function heldForOthers(
  own: AskApprovers | undefined,
  access: AccessControl,
  rules: Pick<RequestRules, "admit" | "isCounted" | "takeBack">,
): Pick<FleetParts, "hold" | "takeBack"> {
  const counted = new BoundedMap<string, Use>(maxTakenBack);
  return {
    hold: async (request, principal, signal) => {
      const connection = access.factsOf(request.connectionId);
      if (!connection) throw new NotFound("connection");
      if (!request.decides) {
        if (!own) throw new NotFound("connection");
        return await own({ ...heldFrom(request), principal, connection, signal });
      }
      if (request.policyDigest !== (access.policy?.digest ?? ""))
        throw new Unavailable("the hubs have different policy files: give each hub the same one", 2_000);
      access.admit(principal, "token.read");
      const use = await rules.admit(principal, request.connectionId, { ...askedFrom(request), signal });
      const useId = rules.isCounted(use) ? randomUUID() : "";
      if (use && useId !== "") counted.set(useId, use);
      const { rule = "", shadow = "", approver = "" } = use ?? {};
      return { decided: true, rule, shadow, approver, useId };
    },
    takeBack: (useId) => {
      const use = counted.get(useId);
      counted.delete(useId);
      rules.takeBack(use);
    },
  };
}
