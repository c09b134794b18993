import type { Postgres } from "../../../fakes/postgres.js";
import type { Fault } from "./faults.js";
import type { Acknowledged } from "./hub_process.js";
import type { CountingProvider, Reuse } from "./provider.js";

export interface StormReport {
  readonly refreshes: number;
  readonly commits: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly reigns: number;
  /** Two requests of one grant at the provider at once. */
  readonly overlaps: number;
  readonly grantsLost: number;
  /** Of those: the answer was in the air when the process was killed or its link to the provider was cut. */
  readonly explained: number;
  /** Batches that a hub was acknowledged, and the log does not have. */
  readonly ackedMissing: number;
  readonly gaps: number;
  readonly auditEvents: number;
  /** Connections that a hub was asked for and said it had made; those that are not there count as `ackedMissing` too. */
  readonly acknowledged?: number;
  readonly broken: readonly string[];
}

/** How long an answer takes, on a slow link too. */
const answerMs = 700;
/** A request that its sender, killed meanwhile, had sent so long before it came. */
const inTheAirMs = 1_000;

/**
 * Whether the answer that the reused token stands for was never durable, for a reason that no fleet can mend: the process was killed, or
 * its link to the provider harmed, between the arrival of the request and the acknowledgement; or the provider itself did not run.
 *
 * @param kept attempts whose answer is in the log, or in a spool file
 * @param heardMs when the sender said that no answer had come; undefined where it does not say: then the link has to be harmed while an
 *   answer is on its way
 */
export function isExplained(
  { rotation }: Reuse,
  faults: readonly Fault[],
  kept: ReadonlySet<string>,
  lastContactMs?: number,
): boolean {
  if (!rotation || kept.has(rotation.attempt)) return false;
  const untilMs = lastContactMs ?? rotation.receivedMs + answerMs;
  return faults.some(({ kind, owner, fromMs, untilMs: endMs }) => {
    // What comes in a stall is read behind it.
    if (kind === "stall") return endMs >= rotation.receivedMs - 50 && fromMs <= untilMs;
    // Real hubs have one link to the provider, whose faults meet all of them.
    if (owner !== rotation.owner && owner !== "every") return false;
    if (kind === "kill") return fromMs >= rotation.receivedMs - inTheAirMs;
    if (kind !== "cut provider" && kind !== "half-open provider") return false;
    // A link that was harmed before the request came would have kept it away.
    return fromMs >= rotation.receivedMs - 50 && fromMs <= untilMs;
  });
}

export async function judgeLog(
  primary: Postgres,
  acknowledged: readonly Acknowledged[],
): Promise<{ commits: number; gaps: number; ackedMissing: number }> {
  const rows = await primary.query<{ position: string; id: string }>(
    "SELECT position, id FROM nexus.log ORDER BY position",
  );
  const ids = new Map(rows.map(({ position, id }) => [position, id]));
  return {
    commits: rows.length - 1,
    gaps: rows.filter(({ position }, index) => Number(position) !== index).length,
    ackedMissing: acknowledged.filter(({ position, id }) => ids.get(position) !== id).length,
  };
}

export function judgeGrants(
  provider: CountingProvider,
  faults: readonly Fault[],
  acknowledged: readonly Acknowledged[],
): Pick<StormReport, "refreshes" | "overlaps" | "grantsLost" | "explained"> & {
  readonly unexplained: readonly string[];
} {
  const taken = acknowledged
    .flatMap(({ events }) => events)
    .map((event) => /^(?:refreshed|brought home) (.+)$/.exec(event)?.[1]);
  const durable = new Set(taken.filter((attempt) => attempt !== undefined));
  const unexplained = provider.reuses.filter((reuse) => !isExplained(reuse, faults, durable));
  return {
    refreshes: provider.refreshes,
    overlaps: provider.overlaps,
    grantsLost: provider.reuses.length,
    explained: provider.reuses.length - unexplained.length,
    unexplained: unexplained.map((reuse) => `a grant was lost without a reason: ${JSON.stringify(reuse)}`),
  };
}

/** What the storm found; empty: the protocol held. */
export function failures(report: StormReport): string[] {
  const found = [...report.broken];
  if (report.overlaps > 0) found.push(`${report.overlaps} requests of one grant overlapped`);
  if (report.grantsLost > report.explained)
    found.push(`${report.grantsLost - report.explained} grants were lost without a reason`);
  if (report.ackedMissing > 0) found.push(`${report.ackedMissing} acknowledged batches are missing`);
  if (report.gaps > 0) found.push(`${report.gaps} positions of the log are not in order`);
  if (report.refreshes < 10) found.push("nothing was refreshed");
  return found;
}
