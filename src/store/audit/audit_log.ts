import type { AuditEvent } from "../../model/access/audit_event.js";
import { type Databases, decodeCount, encodeCount, nothing } from "../lmdb/databases.js";
import {
  type AuditHead,
  chainHash,
  chainStart,
  decodeAuditHead,
  decodeAuditRecord,
  encodeAuditHead,
  encodeAuditRecord,
  toAuditRecord,
} from "../records/audit_codec.js";

/** How much of the past is kept; whichever ends first. */
export interface AuditRetention {
  /** At least 1. Default 100 000: some 30 MiB with their index, at 295 bytes for each event. */
  readonly maxEvents: number;
  /** Default 365 days. */
  readonly maxAgeMs: number;
}

export const defaultAuditRetention: AuditRetention = { maxEvents: 100_000, maxAgeMs: 365 * 86_400_000 };

/** Events pruned with each event that is appended, at most: a limit that was lowered is reached step by step. */
const maxPruned = 64;

/** Key of the head in database `meta`. */
const headKey = "audit_head";

const noHash = new Uint8Array(0);

/** When the oldest event of a store was, by the number before it: while it may stay, nobody looks for events to prune. */
const oldestOf = new WeakMap<object, { readonly anchorSequence: bigint; readonly timeMs: number }>();

/** The ends of the chain. Events without a head, which somebody removed, are none of it: it goes on after the last of them. */
export function readAuditHead(databases: Databases): AuditHead {
  const bytes = databases.meta.getBinary(headKey);
  if (bytes !== undefined) return decodeAuditHead(bytes);
  let last = 0n;
  for (const key of databases.audit.getKeys({ reverse: true, limit: 1 })) last = decodeCount(key);
  return { sequence: last, hash: chainStart, anchorSequence: last, anchorHash: noHash };
}

/** Appends to the log inside one transaction, whose commit holds the change that the event reports. */
export class AuditLog {
  #head: AuditHead | undefined;

  constructor(
    private readonly databases: Databases,
    private readonly retention: AuditRetention,
  ) {}

  append(event: AuditEvent): void {
    const { audit, auditByConnection, meta } = this.databases;
    const head = this.#head ?? readAuditHead(this.databases);
    const sequence = head.sequence + 1n;
    const record = toAuditRecord(event);
    const hash = chainHash(head.hash, sequence, record);
    audit.putSync(encodeCount(sequence), encodeAuditRecord(record, hash));
    if (record.connectionId !== "") {
      auditByConnection.putSync([record.connectionId, Number(sequence)], nothing);
    }
    this.#head = this.#prune({ ...head, sequence, hash }, event.timeMs - this.retention.maxAgeMs);
    meta.putSync(headKey, encodeAuditHead(this.#head));
  }

  #isOldestKept({ sequence, anchorSequence }: AuditHead, oldestMs: number): boolean {
    const oldest = oldestOf.get(this.databases.root);
    if (oldest?.anchorSequence !== anchorSequence || oldest.timeMs < oldestMs) return false;
    return sequence - anchorSequence <= BigInt(this.retention.maxEvents);
  }

  /** Removes the oldest events. The hash of the last one stays as the anchor, so that the rest still verifies. */
  #prune(head: AuditHead, oldestMs: number): AuditHead {
    if (this.#isOldestKept(head, oldestMs)) return head;
    const { root, audit, auditByConnection } = this.databases;
    const pruned: { key: Buffer; connectionId: string }[] = [];
    let { anchorSequence, anchorHash } = head;
    for (const { key, value } of audit.getRange({ limit: maxPruned })) {
      const sequence = decodeCount(key);
      const record = decodeAuditRecord(value);
      const isExcess = head.sequence - sequence >= BigInt(this.retention.maxEvents);
      const isOld = record !== undefined && Number(record.timeMs) < oldestMs;
      if (sequence === head.sequence || !(isExcess || isOld)) {
        if (record && sequence === anchorSequence + 1n) {
          oldestOf.set(root, { anchorSequence, timeMs: Number(record.timeMs) });
        }
        break;
      }
      pruned.push({ key: Buffer.from(key), connectionId: record?.connectionId ?? "" });
      if (sequence > anchorSequence) {
        anchorSequence = sequence;
        anchorHash = new Uint8Array(record?.hash ?? chainStart);
      }
    }
    for (const { key, connectionId } of pruned) {
      audit.removeSync(key);
      if (connectionId !== "") auditByConnection.removeSync([connectionId, Number(decodeCount(key))]);
    }
    return { ...head, anchorSequence, anchorHash };
  }
}
