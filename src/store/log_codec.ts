import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuditRecordSchema,
  ChangeRecordSchema,
  DiscoveryRecordSchema,
} from "../gen/nexus/store/v1/records_pb.js";
import type { AuditEvent } from "../model/audit_event.js";

/** The newest change of one connection. */
export interface Change {
  readonly revision: bigint;
  readonly connectionId: string;
  readonly removed: boolean;
  readonly userId: string;
}

/** A discovery document as it was fetched, unparsed. */
export interface StoredDiscovery {
  readonly document: string;
  readonly fetchedAtMs: number;
}

/** An audit event and its place in the log, from 1. */
export interface StoredAuditEvent {
  readonly sequence: bigint;
  readonly event: AuditEvent;
}

export function encodeChange(change: Change): Uint8Array {
  const { connectionId, removed, userId } = change;
  return toBinary(ChangeRecordSchema, create(ChangeRecordSchema, { connectionId, removed, userId }));
}

export function decodeChange(revision: bigint, bytes: Uint8Array): Change {
  const { connectionId, removed, userId } = fromBinary(ChangeRecordSchema, bytes);
  return { revision, connectionId, removed, userId };
}

export function encodeDiscovery(discovery: StoredDiscovery): Uint8Array {
  const { document, fetchedAtMs } = discovery;
  return toBinary(
    DiscoveryRecordSchema,
    create(DiscoveryRecordSchema, { document, fetchedAtMs: BigInt(fetchedAtMs) }),
  );
}

export function decodeDiscovery(bytes: Uint8Array): StoredDiscovery {
  const { document, fetchedAtMs } = fromBinary(DiscoveryRecordSchema, bytes);
  return { document, fetchedAtMs: Number(fetchedAtMs) };
}

export function encodeAuditEvent(event: AuditEvent): Uint8Array {
  return toBinary(
    AuditRecordSchema,
    create(AuditRecordSchema, {
      timeMs: BigInt(event.timeMs),
      eventType: event.type,
      principal: event.principal,
      connectionId: event.connectionId ?? "",
      providerId: event.providerId ?? "",
      reason: event.reason ?? "",
      origin: event.origin ?? "",
    }),
  );
}

export function decodeAuditEvent(bytes: Uint8Array): AuditEvent {
  const record = fromBinary(AuditRecordSchema, bytes);
  return {
    timeMs: Number(record.timeMs),
    // Words of a newer version pass through: an audit log is shown, never decided upon.
    type: record.eventType as AuditEvent["type"],
    principal: record.principal,
    ...(record.connectionId !== "" && { connectionId: record.connectionId }),
    ...(record.providerId !== "" && { providerId: record.providerId }),
    ...(record.reason !== "" && { reason: record.reason }),
    ...(record.origin !== "" && { origin: record.origin }),
  };
}
