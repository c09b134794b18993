import type { ReplicaPosition } from "../replication/log.js";
import { FleetRefused } from "./connection/fleet_error.js";
import type { TableLayout } from "./connection/layouts.js";
import type { Probe } from "./connection/probe.js";
import type { DatabaseSession } from "./connection/session.js";
import { readLogState } from "./log/batches.js";
import { type History, judgeHistory } from "./log/history.js";
import { checkLayout } from "./migrations.js";
import { standbyWaitSentence } from "./standby_wait.js";

/** A hub whose clock is further off could move every due time of the fleet. */
export const maxClockOffsetMs = 5_000;

/** What the database reported when it was connected to. */
export interface FleetVerdict {
  readonly databaseId: string;
  readonly tables: TableLayout;
  /** Of the log; another one than the store's: it started again. */
  readonly epoch: string;
  /** Position of the newest batch. */
  readonly newest: bigint;
  readonly history: History;
  /** Wall clock here minus the database's. */
  readonly clockOffsetMs: number;
  /** Whether a commit waits for a standby. */
  readonly isSynchronous: boolean;
  /** For how long one has waited that no standby answers; 0: none does. */
  readonly standbyWaitMs: number;
  /** Why this process may not lead, for a person. Empty: it may. */
  readonly mayNotLead: readonly string[];
  /** For the log and `status`. */
  readonly warnings: readonly string[];
}

/** @throws FleetRefused when the tables are missing or of another version, or hold no store */
export async function judge(
  session: DatabaseSession,
  probe: Probe,
  position: ReplicaPosition | undefined,
): Promise<FleetVerdict> {
  const tables = await checkLayout(session, probe.hasSchema);
  const [head] = await session.query<{ database_id: string; epoch: string }>(
    "SELECT database_id::text AS database_id, epoch::text AS epoch FROM nexus.head",
  );
  if (!head) throw new FleetRefused("not_initialised", "the fleet has no store yet: run nexusd fleet init");
  const state = await readLogState((text, values) => session.query(text, values), position?.position ?? 0n);
  return {
    databaseId: head.database_id,
    tables,
    epoch: head.epoch,
    newest: state.newest,
    history: judgeHistory(state, position),
    clockOffsetMs: probe.clockOffsetMs,
    isSynchronous: probe.isSynchronous,
    standbyWaitMs: probe.standbyWaitMs,
    mayNotLead: obstacles(probe),
    warnings: warnings(probe),
  };
}

function obstacles({ clockOffsetMs, isDurable }: Probe): string[] {
  const found: string[] = [];
  if (Math.abs(clockOffsetMs) > maxClockOffsetMs) {
    found.push(`the clock is ${clockOffsetMs} ms off the database's: set the one that is wrong`);
  }
  if (!isDurable) found.push("the database runs with fsync off, and loses what it acknowledged: turn it on");
  return found;
}

function warnings({ isSynchronous, standbyWaitMs, ownsMore }: Probe): string[] {
  const found = standbyWaitMs > 0 ? [standbyWaitSentence(standbyWaitMs)] : [];
  if (!isSynchronous) {
    found.push("synchronous_standby_names is empty: a failover to a standby loses what it had not received");
  }
  if (ownsMore)
    found.push(
      "the role is a superuser or owns more than the schema nexus: give the fleet a role of its own",
    );
  return found;
}
