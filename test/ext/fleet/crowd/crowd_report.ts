import type { CrowdReport } from "./crowd_process.js";

export const grantsOfTeam = 10;
/** Each spoke sees what its team has, and the one connection of everyone. */
const seenByEach = grantsOfTeam + 1;

/** What something took, and the CPU of the hubs that did it. */
export interface Effort {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export interface CrowdStormReport {
  readonly spokes: number;
  /** Until all had a copy from one hub, each from its first byte. */
  readonly copied: Effort;
  /** From the request for one refresh to the last of them that had the new token. */
  readonly newToken: Effort;
  /** From the SIGKILL of a hub until all that it had went on at the others: of the hub that had all, then of the leader. */
  readonly resumed: readonly (Effort & { readonly spokes: number })[];
  readonly away: {
    readonly seconds: number;
    /** Grants that were due meanwhile, and those of them that a provider was asked for. */
    readonly due: number;
    readonly refreshed: number;
    /** After it was back, until all spokes held the new token of each of them. */
    readonly until: Effort;
  };
  readonly crowd: CrowdReport;
  readonly reads: number;
  readonly noticed: readonly string[];
  readonly overlaps: number;
  readonly broken: readonly string[];
}

/** What is wrong with what was seen. */
export function crowdFailures({
  away,
  crowd,
  spokes,
  noticed,
  overlaps,
  broken,
}: CrowdStormReport): string[] {
  const found = [...new Set(noticed), ...broken];
  const { resets, backwards, lapsed, fewest, most, whole } = crowd;
  if (whole < spokes) found.push(`${spokes - whole} spokes follow no hub at the end`);
  if (fewest < seenByEach || most > seenByEach)
    found.push(`spokes hold ${fewest} to ${most} tokens, and see ${seenByEach}`);
  if (resets > 0) found.push(`${resets} streams had to begin anew`);
  if (backwards > 0) found.push(`${backwards} states were older than what a spoke held`);
  if (lapsed > 0) found.push(`${lapsed} connections had a token that ended at a spoke`);
  if (away.due < 1)
    found.push("nothing was due while the database was away: let it be away for longer (--away)");
  if (away.refreshed > 0) found.push("a provider was asked while the database was away");
  if (overlaps > 0) found.push(`${overlaps} requests of one grant overlapped`);
  return found;
}
