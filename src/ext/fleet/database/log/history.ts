import type { ReplicaPosition } from "../../replication/log.js";
import type { LogState } from "./batches.js";

/**
 * What a replica's position means in the log.
 *
 * - `known`: the feed goes on from it.
 * - `outrun`: the log begins after it, or there is none: a first copy is needed.
 * - `diverged`: the log ends before it, or has another batch there.
 */
export type History = "known" | "outrun" | "diverged";

export function judgeHistory(state: LogState, mine: ReplicaPosition | undefined): History {
  if (mine === undefined) return "outrun";
  if (mine.position > state.newest) return "diverged";
  if (state.idThere !== undefined) return state.idThere === mine.batchId ? "known" : "diverged";
  return "outrun";
}
