import { agentOf, type Extent, owner, type Principal } from "../../model/access/access.js";
import { Aborted, InvalidArgument, PermissionDenied } from "../../model/model.js";

/** What a person answers to a held request, or to a plan. */
export interface ApproverAnswer {
  readonly id: string;
  /** Of what the approver read, hexadecimal. */
  readonly digest: string;
  readonly approves: boolean;
  readonly extent: Extent | undefined;
  /** Of a denial, for the agent; empty for none. */
  readonly reason?: string;
}

/** @throws PermissionDenied, Aborted, InvalidArgument */
export function checkAnswer(
  { digest: read, approves, extent, reason = "" }: ApproverAnswer,
  asked: {
    readonly digest: string;
    readonly caller: string;
    readonly session: string | undefined;
    readonly extents: readonly Extent[];
    /** Of several approvers that a rule asks. */
    readonly approvedBy: readonly string[];
  },
  approver: Principal,
): void {
  if (agentOf(approver.name) === agentOf(asked.caller) && approver.kind !== "owner")
    throw new PermissionDenied("who sent a request cannot approve it");
  if (approves && asked.approvedBy.some((name) => personOf(name) === personOf(approver.name)))
    throw new PermissionDenied("you approved this request before: it waits for another approver");
  if (read !== asked.digest) throw new Aborted("this is not the request that waits: read it again");
  if (extent !== undefined && !asked.extents.includes(extent))
    throw new InvalidArgument([{ field: "extent", description: "the rule lets a yes count for this once" }]);
  if (extent === "session" && asked.session === undefined)
    throw new InvalidArgument([{ field: "extent", description: "the request names no session" }]);
  if (approves && reason !== "")
    throw new InvalidArgument([{ field: "reason", description: "is for a denial: an approval has none" }]);
}

/** Whoever reaches the data folder is both: its socket is there, and its key. An agent has all of its grants. */
function personOf(name: string): string {
  return name === owner.name || name === "admin" ? owner.name : agentOf(name);
}
