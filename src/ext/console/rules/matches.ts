import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { findEvents } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";

export const matchDays = 7;
/** Events that a page reads at most: some 100 ms. */
const bounds = { most: 10_000, calls: 12 };

/** How often a rule decided, or in shadow would have, and when last. */
export interface RuleCount {
  readonly count: number;
  readonly lastMs: number;
}

/** By the line of the rule in the file. */
export interface RuleCounts {
  readonly byLine: ReadonlyMap<number, RuleCount>;
  /** Before it, events were not looked at: there are more than a page reads. Undefined if all of them were. */
  readonly readSinceMs: number | undefined;
}

/** From the audit log, for the rules of this file alone: those of one before it may stand in other lines. */
export async function ruleCounts(request: PageRequest, digest: string): Promise<RuleCounts> {
  const since = timestampFromMs(request.nowMs - matchDays * 24 * 60 * 60_000);
  const { found, next } = await findEvents(request, { since, withoutDaemon: true }, bounds);
  const oldest = found.at(-1)?.time;
  const readSinceMs = next === "" || !oldest ? undefined : timestampMs(oldest);
  return { byLine: countedByLine(found, digest), readSinceMs };
}

/** @param digest of the file, hexadecimal */
export function countedByLine(events: readonly AuditEvent[], digest: string): ReadonlyMap<number, RuleCount> {
  const byLine = new Map<number, RuleCount>();
  for (const event of events.filter(isJudged)) {
    const times = Math.max(1, Number(event.count));
    const atMs = event.time ? timestampMs(event.time) : 0;
    for (const line of [event.rule, event.shadow].flatMap((place) => lineOf(place, digest) ?? [])) {
      const { count = 0, lastMs = 0 } = byLine.get(line) ?? {};
      byLine.set(line, { count: count + times, lastMs: Math.max(lastMs, atMs) });
    }
  }
  return byLine;
}

/**
 * One event for each request: `egress_used` and `approval.given` are of requests that have one of these, too. A request whose body was
 * asked for is judged again, and no request at all is shown for a token that a caller keeps.
 */
function isJudged({ eventType, reason }: AuditEvent): boolean {
  if (eventType === "token_retrieval_failed") return reason !== "show_body" && reason !== "use_egress";
  return eventType === "token_retrieved" || eventType === "token_reads_counted";
}

/** `line 3 of 9f86d081884c`: the digest as far as the audit log has it. */
function lineOf(place: string, digest: string): number | undefined {
  const [, line, of = ""] = /^line (\d+) of ([0-9a-f]{12})$/.exec(place) ?? [];
  return line !== undefined && digest.startsWith(of) ? Number(line) : undefined;
}
