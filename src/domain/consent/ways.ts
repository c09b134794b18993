import type { AuditEventType } from "../../model/access/audit_event.js";

/** How a consent comes to its commit. */
export type Way = "code" | "form" | "device" | "confirmation";

interface Steps {
  /**
   * When the pending authorization is taken. An authorization code is redeemed once, so that its state is consumed, durably, before the code
   * is sent.
   */
  readonly takes: "before_exchange" | "in_commit";
  /** What the commit is in the audit log. */
  readonly audit: AuditEventType;
}

export const ways: Readonly<Record<Way, Steps>> = {
  code: { takes: "before_exchange", audit: "oauth_flow_completed" },
  device: { takes: "in_commit", audit: "oauth_flow_completed" },
  form: { takes: "in_commit", audit: "credential_captured" },
  confirmation: { takes: "in_commit", audit: "connection.confirmed" },
};
