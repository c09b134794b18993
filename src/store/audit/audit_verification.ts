import { type Databases, decodeCount, encodeCount } from "../lmdb/databases.js";
import { type AuditHead, chainHash, chainStart, decodeAuditRecord } from "../records/audit_codec.js";
import { readAuditHead } from "./audit_log.js";

/** See `nexus.v1.VerifyAuditLogResponse.reason`. */
export type AuditError =
  | "altered"
  | "missing"
  | "unexpected"
  | "unreadable"
  | "head_missing"
  | "head_mismatch"
  | "checkpoint_mismatch"
  | "checkpoint_pruned";

/** An event and its hash, noted down earlier in a place that a writer of the file cannot reach. */
export interface AuditCheckpoint {
  readonly sequence: bigint;
  /** Hexadecimal. */
  readonly hash: string;
}

export interface AuditVerdict {
  readonly checked: bigint;
  /** Undefined when every event is as it was written. */
  readonly violation: { readonly sequence: bigint; readonly reason: AuditError } | undefined;
  readonly head: AuditHead;
}

/**
 * Walks the chain in steps; between them the log may grow and be pruned. A removed, inserted, edited or cut off event is found,
 * also where somebody fixed its own hash: then at the event after it. A file that was rewritten whole, with every hash and the head, is not,
 * unless a checkpoint says otherwise. The index by connection is no part of the chain.
 */
export class AuditVerification {
  #checked = 0n;
  /** Where to read on. */
  #position = 0n;
  /** The event that must come next and the hash before it; undefined until the chain is reached. */
  #expected: { readonly sequence: bigint; readonly previous: Uint8Array } | undefined;
  #checkpointMet = false;

  constructor(
    private readonly databases: Databases,
    private readonly checkpoint?: AuditCheckpoint,
  ) {}

  /**
   * Looks at the next events, in one stretch and so in one snapshot.
   *
   * @returns undefined when there is more to look at
   */
  step(limit: number): AuditVerdict | undefined {
    const head = readAuditHead(this.databases);
    let looked = 0;
    for (const { key, value } of this.databases.audit.getRange({
      start: encodeCount(this.#position),
      limit,
    })) {
      looked++;
      const violation = this.#look(head, key, value);
      if (violation) return this.#verdict(head, violation);
    }
    return looked === limit ? undefined : this.#verdict(head, this.#lookAtEnd(head));
  }

  #look(head: AuditHead, key: Buffer, value: Uint8Array): AuditVerdict["violation"] {
    if (key.length !== 8) return { sequence: this.#position, reason: "unexpected" };
    const sequence = decodeCount(key);
    this.#position = sequence + 1n;
    const record = decodeAuditRecord(value);
    if (record === undefined) return { sequence, reason: "unreadable" };
    if (sequence <= head.anchorSequence) {
      return { sequence, reason: head.anchorHash.length > 0 ? "unexpected" : "head_missing" };
    }
    const expected = this.#expect(head);
    if (sequence !== expected.sequence) return { sequence: expected.sequence, reason: "missing" };
    if (sequence > head.sequence) return { sequence, reason: "unexpected" };
    const hash = chainHash(expected.previous, sequence, record);
    if (!hash.equals(record.hash)) return { sequence, reason: "altered" };
    this.#checked++;
    this.#expected = { sequence: sequence + 1n, previous: hash };
    return this.#compare(sequence, hash);
  }

  /** The next link, or the first one after the anchor when the log was pruned past it. */
  #expect(head: AuditHead): { readonly sequence: bigint; readonly previous: Uint8Array } {
    const expected = this.#expected;
    if (expected && expected.sequence > head.anchorSequence) return expected;
    const previous = head.anchorHash.length === 0 ? chainStart : head.anchorHash;
    return { sequence: head.anchorSequence + 1n, previous };
  }

  #lookAtEnd(head: AuditHead): AuditVerdict["violation"] {
    const expected = this.#expect(head);
    if (expected.sequence <= head.sequence) return { sequence: expected.sequence, reason: "missing" };
    if (!Buffer.from(expected.previous).equals(head.hash)) {
      return { sequence: head.sequence, reason: "head_mismatch" };
    }
    const sequence = this.checkpoint?.sequence;
    if (sequence === undefined || this.#checkpointMet) return undefined;
    if (sequence > head.sequence) return { sequence, reason: "missing" };
    if (sequence === head.anchorSequence && head.anchorHash.length > 0) {
      return this.#compare(sequence, head.anchorHash);
    }
    return { sequence, reason: "checkpoint_pruned" };
  }

  #compare(sequence: bigint, hash: Uint8Array): AuditVerdict["violation"] {
    if (sequence !== this.checkpoint?.sequence) return undefined;
    this.#checkpointMet = true;
    if (Buffer.from(hash).toString("hex") === this.checkpoint.hash) return undefined;
    return { sequence, reason: "checkpoint_mismatch" };
  }

  #verdict(head: AuditHead, violation: AuditVerdict["violation"]): AuditVerdict {
    return { checked: this.#checked, violation, head };
  }
}
