import { hash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuditHeadRecordSchema,
  type AuditRecord,
  AuditRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { AuditEvent } from "../../model/access/audit_event.js";
import { encodeCount } from "../lmdb/databases.js";
import { optionalText, recordForm, time } from "./record_form.js";

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

const noHash = new Uint8Array(0);
const chainName = Buffer.from("nexusd audit v1\n");

/** What stands before the first event of a chain. */
export const chainStart: Uint8Array = new Uint8Array(32);

type Chained = Omit<AuditEvent, "type"> & {
  readonly eventType: AuditEvent["type"];
  readonly hash: Uint8Array;
};

const events = recordForm<Chained, typeof AuditRecordSchema>(AuditRecordSchema, {
  timeMs: time,
  // Words of a newer version pass through: an audit log is only read, never acted upon.
  eventType: { encode: (type) => type, decode: (word) => word as AuditEvent["type"] },
  connectionId: optionalText,
  providerId: optionalText,
  reason: optionalText,
  origin: optionalText,
  count: { encode: (count = 0) => BigInt(count), decode: (count) => Number(count) || undefined },
  revision: { encode: (revision) => revision, decode: (revision) => revision || undefined },
  via: { encode: (via = []) => [...via], decode: (via) => (via.length === 0 ? undefined : via) },
  agent: optionalText,
  session: optionalText,
  userId: optionalText,
  rule: optionalText,
  approver: optionalText,
  traceId: optionalText,
  shadow: optionalText,
});

/** The event as a record that is not chained yet. */
export function toAuditRecord(event: AuditEvent): AuditRecord {
  return events.toMessage({ ...event, eventType: event.type, hash: noHash });
}

/**
 * Hash of an event. The encoding of protobuf is canonical here: fields in the order of their numbers, no maps, and fields of a newer
 * version are kept behind them as they were read.
 *
 * @param previous hash of the event before
 */
export function chainHash(previous: Uint8Array, sequence: bigint, record: AuditRecord): Buffer {
  const content = toBinary(AuditRecordSchema, { ...record, hash: noHash });
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
  const { hash: _, eventType: type, ...event } = events.fromMessage(record);
  return { ...event, type };
}

export const { encode: encodeAuditHead, decode: decodeAuditHead } = recordForm<
  AuditHead,
  typeof AuditHeadRecordSchema
>(AuditHeadRecordSchema, {});
