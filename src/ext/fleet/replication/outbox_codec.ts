import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type OutboxRecord, OutboxRecordSchema } from "../../../gen/nexus/store/v1/replication_pb.js";
import { type AuditEvent, daemon } from "../../../model/access/access.js";
import {
  type Databases,
  decodeAuditRecord,
  decodeCount,
  encodeCount,
  eventOf,
  type Transaction,
  toAuditRecord,
} from "../../../store/store.js";

/** One thing that was put on record, on its way to the leader. */
export interface OutboxEntry {
  /** Counts what one source put on record, from 1. */
  readonly sequence: bigint;
  /** A `nexus.store.v1.OutboxRecord`. */
  readonly record: Uint8Array;
}

export function encodeRecordedEvent(event: AuditEvent): Uint8Array {
  return toBinary(OutboxRecordSchema, create(OutboxRecordSchema, { audit: toAuditRecord(event) }));
}

export function encodeRecordedUse(usedApiKeyId: string, usedAtMs: number): Uint8Array {
  const record = create(OutboxRecordSchema, { usedApiKeyId, usedAtMs: BigInt(usedAtMs) });
  return toBinary(OutboxRecordSchema, record);
}

/**
 * Takes in what a source put on record, in the order of the sequences. What was taken in before is left out, so
 * that an answer that was lost does no harm. Entries that cannot be read hold up no other: one event, with the time of the event before it,
 * replaces the first and counts them.
 *
 * @param via the hub whose outbox it is, where it is another one's
 */
export function importOutbox(
  tx: Transaction,
  source: string,
  entries: readonly OutboxEntry[],
  via?: string,
): void {
  const { meta, audit } = tx.raw((databases) => databases);
  const key = `outbox ${source}`;
  const known = meta.getBinary(key);
  const last = known === undefined ? 0n : decodeCount(known);
  const newer = entries.filter(({ sequence }) => sequence > last);
  const fresh = newer.map(({ record }) => decode(record));
  const count = fresh.filter((record) => record === undefined).length;
  for (const [index, record] of fresh.entries()) {
    if (record?.audit) tx.appendAudit(passed(eventOf(record.audit), via));
    else if (record) tx.useApiKey(record.usedApiKeyId, Number(record.usedAtMs));
    else if (fresh.indexOf(undefined) === index) {
      const timeMs = newestMs(audit);
      tx.appendAudit(
        passed({ timeMs, type: "audit.entries_unreadable", principal: daemon.name, count }, via),
      );
    }
  }
  meta.putSync(key, encodeCount(newer.at(-1)?.sequence ?? last));
}

function decode(bytes: Uint8Array): OutboxRecord | undefined {
  try {
    const record = fromBinary(OutboxRecordSchema, bytes);
    return record.audit === undefined && record.usedApiKeyId === "" ? undefined : record;
  } catch {
    return undefined;
  }
}

function newestMs(audit: Databases["audit"]): number {
  for (const { value } of audit.getRange({ reverse: true, limit: 1 }))
    return Number(decodeAuditRecord(value)?.timeMs ?? 0n);
  return 0;
}

function passed(event: AuditEvent, via: string | undefined): AuditEvent {
  return via === undefined ? event : { ...event, via: [...(event.via ?? []), via] };
}
