import type { Postgres } from "../../../fakes/postgres.js";
import type { Fault } from "./faults.js";
import type { Rotation } from "./provider.js";

export interface StormReport {
  readonly refreshes: number;
  readonly commits: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly reigns: number;
  /** Two requests of one grant at the provider at once. */
  readonly overlaps: number;
  /** A refresh token was sent twice, or a family lives whose newest token the hubs do not serve. */
  readonly grantsLost: number;
  /** Of those, how many each fault explains. */
  readonly explained: Readonly<Record<string, number>>;
  /** The part of the time in which the process of the storm did not run. */
  readonly stalled: number;
  /** Connections that a hub said it had made, and that are not there. */
  readonly ackedMissing: number;
  readonly gaps: number;
  readonly auditEvents: number;
  readonly reads: number;
  /** Connections that a hub said it had made. */
  readonly acknowledged: number;
  readonly broken: readonly string[];
}

/** Who sent a request, by its own log. */
export interface Sender {
  readonly owner: string;
  /** When it said that no answer had come. */
  readonly unansweredMs: number | undefined;
}

/** A request is given up after so long. */
const requestMs = 140_000;
/** An answer is on disk so long after the request came: 700 ms for the answer, a second until it is in the spool file, and a laden machine. */
const unwrittenMs = 3_700;
/** A request that its sender, killed meanwhile, had sent so long before it came. */
const inTheAirMs = 1_000;
/** Clocks of two processes are read one after the other. */
const readingMs = 50;
/** Of a storm that stood still for longer, too much has an explanation. */
const maxStalled = 0.1;

/**
 * What explains that an answer was never durable, for a reason that no fleet can mend: its sender says that none came, while the link to
 * the provider was harmed or the provider itself did not run; or it says nothing, and was killed before the answer could be on disk.
 */
export function explanationOf(
  { receivedMs }: Rotation,
  sender: Sender | undefined,
  faults: readonly Fault[],
): Fault["kind"] | undefined {
  if (sender === undefined) return undefined;
  const { owner, unansweredMs } = sender;
  const deadline = (afterMs: number): number => deadlineMs(receivedMs, afterMs, owner, faults);
  if (unansweredMs === undefined) {
    const [fromMs, untilMs] = [receivedMs - inTheAirMs, deadline(unwrittenMs)];
    return faults.find(
      (fault) =>
        fault.kind === "kill" && fault.owner === owner && fault.fromMs >= fromMs && fault.fromMs <= untilMs,
    )?.kind;
  }
  if (unansweredMs > deadline(requestMs)) return undefined;
  const sentMs = earliestMs(faults, receivedMs) - readingMs;
  return faults.find(({ kind, fromMs, untilMs }) => {
    if (fromMs > unansweredMs) return false;
    if (kind === "stall") return untilMs >= sentMs;
    // A link that was harmed before the request came would have kept it away.
    return (kind === "cut provider" || kind === "half-open provider") && fromMs >= sentMs;
  })?.kind;
}

/** When a request may have been sent at the earliest: what comes in a stall of the provider is read behind it. */
export function earliestMs(faults: readonly Fault[], receivedMs: number): number {
  const met = faults.filter(
    ({ kind, fromMs, untilMs }) =>
      kind === "stall" && fromMs < receivedMs && untilMs >= receivedMs - readingMs,
  );
  return Math.min(receivedMs, ...met.map(({ fromMs }) => fromMs));
}

/** So long after a moment, not counting the time for which the sender or its answer was held up. */
function deadlineMs(fromMs: number, afterMs: number, owner: string, faults: readonly Fault[]): number {
  const slowing = faults.filter(
    ({ kind, owner: met }) =>
      kind === "stall" || kind.endsWith(" provider") || (kind === "pause" && met === owner),
  );
  return [...slowing]
    .sort((one, other) => one.fromMs - other.fromMs)
    .reduce(
      (endMs, fault) =>
        fault.fromMs <= endMs && fault.untilMs >= fromMs
          ? endMs + fault.untilMs - Math.max(fault.fromMs, fromMs)
          : endMs,
      fromMs + afterMs,
    );
}

export async function judgeLog(primary: Postgres): Promise<{ commits: number; gaps: number }> {
  const rows = await primary.query<{ position: string }>("SELECT position FROM nexus.log ORDER BY position");
  return {
    commits: rows.length - 1,
    gaps: rows.filter(({ position }, index) => Number(position) !== index).length,
  };
}

/** What the storm found; empty: the fleet held. */
export function failures(report: StormReport): string[] {
  const found = [...report.broken];
  const explained = Object.values(report.explained).reduce((sum, count) => sum + count, 0);
  if (report.overlaps > 0) found.push(`${report.overlaps} requests of one grant overlapped`);
  if (report.grantsLost > explained)
    found.push(`${report.grantsLost - explained} grants were lost without a reason`);
  if (report.ackedMissing > 0) found.push(`${report.ackedMissing} acknowledged connections are missing`);
  if (report.gaps > 0) found.push(`${report.gaps} positions of the log are not in order`);
  if (report.refreshes < 10) found.push("nothing was refreshed");
  if (report.reads < 10) found.push("nothing was read");
  if (report.stalled >= maxStalled)
    found.push(`the storm itself stood still for ${Math.round(report.stalled * 100)} % of the time`);
  return found;
}
