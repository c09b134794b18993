/** What the log of a fleet and its replicas agree on. */
export type { AppendVerdict, CommitLog, LogBatch, RawWrite, ReplicaPosition } from "./replication/log.js";
