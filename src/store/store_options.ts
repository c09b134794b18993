import type { AuditRetention } from "./audit/audit_log.js";
import type { CommitTiming } from "./commits.js";

export interface StoreOptions {
  /** The data folder: it exists, and this process holds its lock. */
  readonly folder: string;
  /** Time of the first opening, kept in the store. */
  readonly nowMs: number;
  /** Called once when a commit could not be made durable: the process must end. */
  readonly onFatal?: (error: unknown) => void;
  /** How much of the audit log is kept. */
  readonly audit?: AuditRetention;
  readonly timing?: CommitTiming;
  /** A replica becomes a store of its own: it has left the fleet, or comes from a backup of a replica. */
  readonly leavesFleet?: boolean;
}
