export type AuditEventType =
  | "provider.created"
  | "provider.updated"
  | "provider.deleted"
  | "connection.requested"
  | "connection.revoked"
  | "connection.deleted"
  | "oauth_flow_completed"
  | "oauth_error"
  | "state_verification_failed"
  | "token_exchange_failed"
  | "id_token_verification_failed"
  | "token_refreshed"
  | "token_refresh_failed"
  | "token_refresh_fatal";

export interface AuditEvent {
  readonly timeMs: number;
  readonly type: AuditEventType;
  readonly principal: string;
  readonly connectionId?: string;
  readonly providerId?: string;
  readonly reason?: string;
}
