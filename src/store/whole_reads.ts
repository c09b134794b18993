import type { SealedRecord } from "../model/credentials/credential.js";
import { type AuditPage, type AuditPageResult, listAuditEvents } from "./audit/audit_reads.js";
import { type AuditCheckpoint, AuditVerification } from "./audit/audit_verification.js";
import { readSealedCounts, type SealedCounts } from "./indexes/sealed_count.js";
import { type SealedEntry, type SealedKind, walkSealed } from "./indexes/sealed_walk.js";
import type { Databases } from "./lmdb/databases.js";
import { Reads } from "./reads.js";
import { readStoreRecord } from "./store_record.js";

/** What is read of a store as a whole: its keys, its audit log, its databases. */
export abstract class WholeReads extends Reads {
  /** For what an extension keeps or reads in the databases themselves. */
  raw<T>(read: (databases: Databases) => T): T {
    return read(this.databases);
  }

  /** The known text that tells a right key from a wrong one. */
  get keyCheck(): SealedRecord | undefined {
    return readStoreRecord(this.databases)?.keyCheck;
  }

  /** How many sealed records need each key, the check of the key not counted. */
  sealedCounts(): SealedCounts {
    return readSealedCounts(this.databases);
  }

  /** The records of a kind after a key, in the order of the keys. */
  walkSealed(kind: SealedKind, after: string | undefined, limit: number): SealedEntry[] {
    return walkSealed(this.databases, kind, after, limit);
  }

  /** The newest first. A bounded number of events is looked at: a page may hold fewer than `limit` while more follow. */
  listAuditEvents(page: AuditPage): AuditPageResult {
    return listAuditEvents(this.databases, page);
  }

  /** Checks the chain of the audit log, step by step. */
  verifyAudit(checkpoint?: AuditCheckpoint): AuditVerification {
    return new AuditVerification(this.databases, checkpoint);
  }
}
