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

/** Of the rows in `meta` that say, for each source, up to which entry its outbox is in the store. Each start of a hub is a source. */
const markPrefix = "outbox ";
/** What such a row is kept for after its source was heard last. A hub that comes back later with entries whose import was not answered has them twice. */
const markLifeMs = 90 * 24 * 3_600_000;

/**
 * Takes in what a source put on record, in the order of the sequences. What was taken in before is left out, so
 * that an answer that was lost does no harm. Entries that cannot be read hold up no other: one event, with the time of the event before it,
 * replaces the first and counts them. A source that is new makes room: those that were not heard for 90 days are forgotten.
 *
 * @param from another hub whose outbox it is, and the time at this one
 */
export function importOutbox(
  tx: Transaction,
  source: string,
  entries: readonly OutboxEntry[],
  from?: { readonly via: string | undefined; readonly nowMs: number },
): void {
  const { meta, audit } = tx.raw((databases) => databases);
  const key = `${markPrefix}${source}`;
  const known = meta.getBinary(key);
  const last = known === undefined ? 0n : decodeCount(known);
  const via = from?.via;
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
  // What a hub puts on record while it leads is here at once.
  const nowMs = from?.nowMs ?? newestMs(audit);
  if (known === undefined) forgetSources(meta, nowMs);
  meta.putSync(key, encodeMark(newer.at(-1)?.sequence ?? last, nowMs));
}

/** Versions before this one read the count alone, and write no time. */
function encodeMark(sequence: bigint, heardMs: number): Buffer {
  return Buffer.concat([encodeCount(sequence), encodeCount(BigInt(heardMs))]);
}

function forgetSources(meta: Databases["meta"], nowMs: number): void {
  for (const { key, value } of [...meta.getRange({ start: markPrefix, end: `${markPrefix}~` })]) {
    const mark = Buffer.from(value);
    if (mark.length < 16) meta.putSync(key, encodeMark(decodeCount(mark), nowMs));
    else if (Number(decodeCount(mark.subarray(8))) < nowMs - markLifeMs) meta.removeSync(key);
  }
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
