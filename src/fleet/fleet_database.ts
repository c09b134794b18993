import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { AppendVerdict, CommitLog, LogBatch, RawWrite, ReplicaPosition } from "../store/replication.js";

export interface FleetDatabaseOptions {
  /** `postgres://user:password@host1:5432,host2/database?sslmode=verify-full&sslrootcert=FILE`, or `?host=/folder` for a Unix socket. */
  readonly url: string;
  /** UUID of this process: the owner of its lease and the source of its batches. New at each start. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the database said when it was connected to. */
export interface FleetVerdict {
  readonly databaseId: string;
  readonly epoch: string;
  /** Of the newest batch. */
  readonly newest: bigint;
  /**
   * What the replica's own position means there.
   *
   * - `known`: the feed goes on from it.
   * - `outrun`: the log begins after it: a first copy is needed (a replica without a position, too).
   * - `diverged`: the database lost batches that this replica has (asynchronous failover, restored backup).
   */
  readonly history: "known" | "outrun" | "diverged";
  /** Wall clock here minus the database's, in milliseconds. */
  readonly clockOffsetMs: number;
  /** Whether a commit waits for a standby. */
  readonly isSynchronous: boolean;
  /** Why this process may not lead, for a person. Empty: it may. */
  readonly mayNotLead: readonly string[];
  /** For the log and `status`: replication is asynchronous, the role owns more than its schema. */
  readonly warnings: readonly string[];
}

export interface FirstCopy {
  /** Every entry, then the writes of the batches since: to be put in this order. */
  readonly entries: AsyncIterable<readonly RawWrite[]>;
  /** Known after `entries` ended; throws before. */
  readonly position: ReplicaPosition;
}

/** The PostgreSQL of a fleet. Each part below has a connection of its own, and connects anew by itself. */
export declare class FleetDatabase {
  /** @throws FleetRefused where it may not be used; FleetUnreachable where no host answers as a primary */
  static connect(options: FleetDatabaseOptions, position?: ReplicaPosition): Promise<FleetDatabase>;
  readonly verdict: FleetVerdict;
  /**
   * Batches after a position, in order and without gaps, for ever; it waits through outages.
   *
   * @throws FleetDiverged, FleetOutrun when the database is another one after a reconnection, or the log begins after the position
   */
  feed(after: ReplicaPosition, signal: AbortSignal): AsyncIterable<readonly LogBatch[]>;
  firstCopy(): FirstCopy;
  /** Position of the newest batch, asked now. */
  newest(): Promise<bigint>;
  /** Changes the epoch once: the first of several that found it diverged. @returns the epoch that is in force now */
  changeEpoch(from: string): Promise<string>;
  close(): Promise<void>;
}

export interface LeaseOptions {
  readonly database: FleetDatabase;
  /** What other hubs dial. */
  readonly address: string;
  /** Default 10 000. It is renewed five times in it; sends end 3/10 before it. */
  readonly leaseMs?: number;
  /** Called once when another process took it, or its row is gone. Not when the database is away. */
  readonly onLost: () => void;
}

export declare class Lease {
  constructor(options: LeaseOptions);
  /** One try. @returns whether this process leads now; it is renewed from then on */
  acquire(): Promise<boolean>;
  /** Undefined while this process does not lead. */
  readonly fence: bigint | undefined;
  /** Whether a request that begins now begins while nobody else can lead. */
  isSafeToSend(): boolean;
  /** Ends it, so that another process leads within a second. */
  release(): Promise<void>;
  /** Who leads, by the database. */
  holder(): Promise<{ owner: string; address: string; fence: bigint; remainingMs: number } | undefined>;
}

export declare class DatabaseLog implements CommitLog {
  constructor(options: { readonly database: FleetDatabase; readonly fence: bigint });
  append(batch: LogBatch): Promise<AppendVerdict>;
  close(): Promise<void>;
}

export interface Member {
  readonly owner: string;
  readonly address: string;
  readonly version: string;
  readonly layout: number;
  readonly keyIds: readonly string[];
  /** Position that it has applied. */
  readonly applied: bigint;
  /** SHA-256 of its certificate on the fleet's listener. */
  readonly certificate: Uint8Array;
  /** Of address and certificate, by a key that the ring derives. */
  readonly mac: Uint8Array;
}

export declare class Members {
  constructor(database: FleetDatabase);
  /** Says that this process is there, every few seconds. */
  heartbeat(member: Member): Promise<void>;
  /** Those seen in the last 30 seconds; `seenMsAgo` by the database's clock. */
  list(): Promise<readonly (Member & { readonly seenMsAgo: number })[]>;
}
