import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { OutboxRecordSchema } from "../../gen/nexus/store/v1/replication_pb.js";
import type { AuditEvent } from "../../model/access/audit_event.js";
import type { Connection } from "../../model/connections/connection.js";
import { type Databases, decodeCount, encodeCount } from "../lmdb/databases.js";
import { eventOf, toAuditRecord } from "../records/audit_codec.js";

/** What a commit can do that only puts something on record: it changes nothing that anybody decides by. */
export interface Recording {
  appendAudit(event: AuditEvent): void;
  /** Notes when an API key was used last, to the hour. */
  useApiKey(id: string, lastUsedAtMs: number): void;
  getConnection(id: string): Connection | undefined;
}

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
 * Inside a transaction: takes in what a source put on record, in the order of the sequences. What was taken in before is left out, so
 * that an answer that was lost does no harm.
 *
 * @param via the hub whose outbox it is, where it is another one's
 * @throws Error when a record cannot be read: nothing is taken in
 */
export function takeIn(
  { meta }: Pick<Databases, "meta">,
  into: Recording,
  source: string,
  entries: readonly OutboxEntry[],
  via?: string,
): void {
  const key = `outbox ${source}`;
  const known = meta.getBinary(key);
  let last = known === undefined ? 0n : decodeCount(known);
  for (const { sequence, record } of entries) {
    if (sequence <= last) continue;
    const { audit, usedApiKeyId, usedAtMs } = fromBinary(OutboxRecordSchema, record);
    if (audit !== undefined) into.appendAudit(passed(eventOf(audit), via));
    else if (usedApiKeyId !== "") into.useApiKey(usedApiKeyId, Number(usedAtMs));
    last = sequence;
  }
  meta.putSync(key, encodeCount(last));
}

function passed(event: AuditEvent, via: string | undefined): AuditEvent {
  return via === undefined ? event : { ...event, via: [...(event.via ?? []), via] };
}
