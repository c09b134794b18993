import { hash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuditHeadRecordSchema,
  type AuditRecord,
  AuditRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { AuditEvent } from "../../model/access/audit_event.js";
import { encodeCount } from "../lmdb/databases.js";

/** An audit event and its place in the log, from 1. */
export interface StoredAuditEvent {
  readonly sequence: bigint;
  readonly event: AuditEvent;
  /** Hexadecimal. */
  readonly hash: string;
}

/** Both ends of the chain. */
export interface AuditHead {
  readonly sequence: bigint;
  readonly hash: Uint8Array;
  /** The chain begins after it. */
  readonly anchorSequence: bigint;
  /** Empty when nothing of the chain was pruned. */
  readonly anchorHash: Uint8Array;
}

const chainName = Buffer.from("nexusd audit v1\n");

/** What stands before the first event of a chain. */
export const chainStart: Uint8Array = new Uint8Array(32);

const optionalTexts = ["agent", "session", "userId", "rule", "approver", "traceId"] as const;

/** The event as a record that is not chained yet. */
export function toAuditRecord(event: AuditEvent): AuditRecord {
  return create(AuditRecordSchema, {
    timeMs: BigInt(event.timeMs),
    eventType: event.type,
    principal: event.principal,
    connectionId: event.connectionId ?? "",
    providerId: event.providerId ?? "",
    reason: event.reason ?? "",
    origin: event.origin ?? "",
    count: BigInt(event.count ?? 0),
    revision: event.revision ?? 0n,
    via: [...(event.via ?? [])],
    ...Object.fromEntries(optionalTexts.map((name) => [name, event[name] ?? ""])),
  });
}

/**
 * Hash of an event. The encoding of protobuf is canonical here: fields in the order of their numbers, no maps, and fields of a newer
 * version are kept behind them as they were read.
 *
 * @param previous hash of the event before
 */
export function chainHash(previous: Uint8Array, sequence: bigint, record: AuditRecord): Buffer {
  const content = toBinary(AuditRecordSchema, { ...record, hash: new Uint8Array(0) });
  return hash("sha256", Buffer.concat([chainName, previous, encodeCount(sequence), content]), "buffer");
}

export function encodeAuditRecord(record: AuditRecord, hash: Uint8Array): Uint8Array {
  return toBinary(AuditRecordSchema, { ...record, hash: new Uint8Array(hash) });
}

/** Undefined when the bytes are no record: somebody else wrote them. */
export function decodeAuditRecord(bytes: Uint8Array): AuditRecord | undefined {
  try {
    return fromBinary(AuditRecordSchema, bytes);
  } catch {
    return undefined;
  }
}

export function decodeAuditEvent(sequence: bigint, bytes: Uint8Array): StoredAuditEvent {
  const record = decodeAuditRecord(bytes) ?? create(AuditRecordSchema, { eventType: "unreadable" });
  return { sequence, event: eventOf(record), hash: Buffer.from(record.hash).toString("hex") };
}

/** Without the hash. */
export function eventOf(record: AuditRecord): AuditEvent {
  return {
    timeMs: Number(record.timeMs),
    // Words of a newer version pass through: an audit log is shown, never decided upon.
    type: record.eventType as AuditEvent["type"],
    principal: record.principal,
    ...(record.connectionId !== "" && { connectionId: record.connectionId }),
    ...(record.providerId !== "" && { providerId: record.providerId }),
    ...(record.reason !== "" && { reason: record.reason }),
    ...(record.origin !== "" && { origin: record.origin }),
    ...(record.count !== 0n && { count: Number(record.count) }),
    ...(record.revision !== 0n && { revision: record.revision }),
    ...(record.via.length > 0 && { via: record.via }),
    ...Object.fromEntries(
      optionalTexts.flatMap((name) => (record[name] === "" ? [] : [[name, record[name]]])),
    ),
  };
}

export function encodeAuditHead(head: AuditHead): Uint8Array {
  const { sequence, hash, anchorSequence, anchorHash } = head;
  return toBinary(
    AuditHeadRecordSchema,
    create(AuditHeadRecordSchema, {
      sequence,
      hash: new Uint8Array(hash),
      anchorSequence,
      anchorHash: new Uint8Array(anchorHash),
    }),
  );
}

export function decodeAuditHead(bytes: Uint8Array): AuditHead {
  const { sequence, hash, anchorSequence, anchorHash } = fromBinary(AuditHeadRecordSchema, bytes);
  return { sequence, hash, anchorSequence, anchorHash };
}
