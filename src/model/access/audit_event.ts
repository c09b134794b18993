import type { Use } from "../tracing.js";
import type { Identity, Provenance } from "./principal.js";

/** The types of events that the core writes. */
export const coreAuditEvents = [
  "provider.created",
  "provider.updated",
  "provider.deleted",
  "connection.requested",
  "connection.imported",
  "connection.import_failed",
  "credential_captured",
  "credential_rejected",
  "credential_replaced",
  "token_retrieved",
  "token_reads_counted",
  "token_retrieval_failed",
  "token_rejected",
  "token_storage_failed",
  "connection.revoked",
  "connection.deleted",
  "connection.confirmed",
  "connection.confirmation_failed",
  "connection_checked",
  "revoked_at_provider",
  "revocation_given_up",
  "oauth_flow_completed",
  "oauth_error",
  "state_verification_failed",
  "token_exchange_failed",
  "id_token_verification_failed",
  "token_refresh_requested",
  "token_refreshed",
  "token_refresh_failed",
  "token_refresh_fatal",
  "grant_detached",
  "grant_returned",
  "client_key.made",
  "client_key.ended",
  "store.restored",
  "api_key.created",
  "api_key.rotated",
  "api_key.revoked",
  "api_key.lapsed",
  "access.denied",
] as const;

/**
 * The types of events that extensions write. Each adds its own in its `extension.ts`, so that a type that nobody declares does not compile:
 * `declare module "../../model/access/audit_event.js" { interface ExtensionAuditEvents { "thing.done": true } }`. `Extension.auditEvents` names
 * them for people.
 */
// biome-ignore lint/suspicious/noEmptyInterface: extensions add its members
export interface ExtensionAuditEvents {}

export type AuditEventType = CoreAuditEventType | keyof ExtensionAuditEvents;

type CoreAuditEventType = (typeof coreAuditEvents)[number];

export interface AuditEvent extends Use {
  readonly timeMs: number;
  readonly type: AuditEventType;
  readonly principal: string;
  readonly connectionId?: string | undefined;
  readonly providerId?: string | undefined;
  readonly reason?: string | undefined;
  /** Address of the caller's socket. */
  readonly origin?: string | undefined;
  /** Through whom the request came, in order: a spoke by its principal, a hub by its address. */
  readonly via?: readonly string[] | undefined;
  /** For whom the principal acted: whom it says that it calls for, or whose request waits. */
  readonly agent?: string | undefined;
  /** Of the connection, where its credential is used. */
  readonly userId?: string | undefined;
  /** How often, when the event stands for several. */
  readonly count?: number | undefined;
  /** Of the credential that it is about. */
  readonly revision?: bigint | undefined;
}

/** What it was done to, for an event. */
export function about(connection: { readonly id: string; readonly providerId: string }) {
  return { connectionId: connection.id, providerId: connection.providerId };
}

/** Who did it, from where, and through whom, for an event. */
export function by({ name, origin, via, onBehalfOf }: Identity & Partial<Provenance>) {
  return { principal: name, origin, via, agent: onBehalfOf?.name };
}

/** What was done to a provider. Its name stands in the event, since the id leads nowhere once the profile is deleted. */
export function aboutProvider(
  { id, name }: { readonly id: string; readonly name: string },
  timeMs: number,
  principal: Parameters<typeof by>[0],
) {
  return { timeMs, ...by(principal), providerId: id, reason: name };
}
