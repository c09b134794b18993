import type { AuditEvent } from "../model/access/audit_event.js";
import type { Connection } from "../model/connections/connection.js";

/** What a commit can do that only puts something on record: it changes nothing that anybody decides by. */
export interface Recording {
  appendAudit(event: AuditEvent): void;
  /** Notes when an API key was used last, to the hour. */
  useApiKey(id: string, lastUsedAtMs: number): void;
  getConnection(id: string): Connection | undefined;
}
