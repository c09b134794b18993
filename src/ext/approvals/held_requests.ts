import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HeldRequest } from "../../domain/access/access.js";
import { HeldRequestRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { AuditEvent, DescribedRequest } from "../../model/access/access.js";
import type { NexusError } from "../../model/model.js";
import type { Timer } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";

/** In database `meta`, which every version of a hub has. */
const prefix = "held_request/";
/** Requests that wait: who sends more gets a refusal, so that nobody says yes to one among thousands. */
const maxHeld = { session: 5, caller: 20, all: 100 };
/** With those whose decision nobody has taken. */
const maxStored = 1_000;

/** What is stored of a held request: enough to know it again, and to put its end on record. */
export interface HeldRecord {
  readonly id: string;
  /** Of the store: in another one, which was restored or lost commits, a decision may have been used already. */
  readonly epoch: string;
  /** See `digestOf`. */
  readonly digest: string;
  readonly policyDigest: string;
  /** Line in that policy file. */
  readonly ruleLine: number;
  readonly sinceMs: number;
  readonly expiresAtMs: number;
  /** Signs its link, which so leads to the page after a restart too. */
  readonly linkKey: Uint8Array;
  readonly caller: string;
  readonly agent: string;
  readonly session: string | undefined;
  readonly connectionId: string;
  readonly providerId: string;
  readonly userId: string;
  /** Method, host, and path. */
  readonly words: string;
  readonly rule: string;
  readonly traceId: string;
}

/** The answer of an approver, or of the several that a rule asks. */
export interface HeldDecision {
  /** Names, separated by commas. */
  readonly approver: string;
  readonly approves: boolean;
  /** Of a denial; empty for none. */
  readonly reason: string;
}

/** Of a request that begins to wait. */
export function recordOf(
  { principal, connection, request, rule, policyDigest, use }: HeldRequest,
  own: Pick<HeldRecord, "id" | "epoch" | "digest" | "sinceMs" | "expiresAtMs" | "linkKey">,
): HeldRecord {
  return {
    ...own,
    ...{ policyDigest, ruleLine: rule.line, caller: principal.name, session: request.session },
    ...{ agent: principal.onBehalfOf?.name ?? principal.name, connectionId: connection.connectionId },
    ...{ providerId: connection.provider.id, userId: connection.userId },
    words: wordsOf(request),
    ...{ rule: use?.rule ?? "", traceId: use?.traceId ?? "" },
  };
}

/** Method, host, and path of a request, for people. */
export function wordsOf({ method, host, target = "" }: DescribedRequest): string {
  const [path = ""] = target.split("?");
  return `${method} ${host}${path.slice(0, 200)}`;
}

/** What a link leads to. */
type Linked = Pick<HeldRecord, "id" | "digest" | "linkKey">;

export function linkOf({ id, digest, linkKey }: Linked): string {
  const signature = createHmac("sha256", linkKey).update(`${id}\n${digest}`).digest().subarray(0, 24);
  return `${id}.${signature.toString("base64url")}`;
}

export function isLinkOf(link: string, linked: Linked): boolean {
  const [given, own] = [link, linkOf(linked)].map((text) => createHash("sha256").update(text).digest());
  return given !== undefined && own !== undefined && timingSafeEqual(given, own);
}

/** What an event of the audit log has of it. */
export function aboutRecord(record: HeldRecord) {
  const { connectionId, providerId, userId, agent, session, rule, traceId } = record;
  return {
    ...{ connectionId, providerId, userId, agent },
    ...(rule !== "" && { rule }),
    ...(session !== undefined && { session }),
    ...(traceId !== "" && { traceId }),
  };
}

/** A request from its first call until its caller has its answer, or the hold ends. */
export interface HeldEntry {
  readonly record: HeldRecord;
  /** What the approver reads; undefined after a restart, until its caller sends it again. */
  held: HeldRequest | undefined;
  /** Who said yes, where the rule asks several. */
  approvedBy: readonly string[];
  /** Resolves once the yes of one of several is stored, or is not. */
  storing: Promise<void> | undefined;
  decision: HeldDecision | undefined;
  /** Whether the decision is durable. */
  isDecided: boolean;
  /** Whether the decision is being taken out of the store, for one caller. */
  isTaken: boolean;
  /** Whether the decision counts no more, for its caller has ended. */
  isEnded: boolean;
  /** Wakes the caller that waits: with a refusal, or because there is a decision. */
  waiter: ((end: NexusError | "decided") => void) | undefined;
  timer: Timer | undefined;
  /** Ends what follows the permissions of the caller. */
  release: (() => void) | undefined;
  /** Aborts when it no longer waits for an approver. */
  readonly over: AbortController;
}

/** The held requests, in memory and in their table. Each change of the table is durable when its promise resolves. */
export class HeldRequests {
  readonly #entries = new Map<string, HeldEntry>();
  #isOpen = false;

  /** @param onLoaded hears of each that was in the table */
  constructor(
    private readonly store: Pick<Store, "commit" | "raw" | "epoch">,
    private readonly onLoaded: (entry: HeldEntry) => void,
  ) {}

  /** All of them, the oldest first; what is in the table is read first, once until `clear`. */
  all(): HeldEntry[] {
    if (!this.#isOpen) {
      this.#isOpen = true;
      const range = { start: prefix, end: `${prefix}~` };
      const stored = this.store.raw(({ meta }) => [...meta.getRange(range)]);
      const entries = stored.map(({ value }) => decoded(value));
      entries.sort((one, other) => one.record.sinceMs - other.record.sinceMs);
      for (const { record, ...answers } of entries) this.onLoaded(this.add(record, answers));
    }
    return this.loaded;
  }

  /** Those that are in memory. */
  get loaded(): HeldEntry[] {
    return [...this.#entries.values()];
  }

  get(id: string): HeldEntry | undefined {
    this.all();
    return this.#entries.get(id);
  }

  has(entry: HeldEntry): boolean {
    return this.#entries.get(entry.record.id) === entry;
  }

  add(record: HeldRecord, answers: Partial<Answers> = {}): HeldEntry {
    const { approvedBy = [], decision } = answers;
    const entry: HeldEntry = {
      ...{
        record,
        approvedBy,
        storing: undefined,
        decision,
        isDecided: decision !== undefined,
        isTaken: false,
        isEnded: false,
      },
      ...{ held: undefined, waiter: undefined, timer: undefined, release: undefined },
      over: new AbortController(),
    };
    this.#entries.set(record.id, entry);
    return entry;
  }

  /** The request as it was sent before, by the same caller under the same rule, if nobody waits for it; one with a decision, if there is one. */
  find({ policyDigest, rule }: HeldRequest, digest: string, nowMs: number): HeldEntry | undefined {
    const free = this.all().filter(
      ({ record, waiter, isTaken }) =>
        record.digest === digest &&
        record.policyDigest === policyDigest &&
        record.ruleLine === rule.line &&
        nowMs < record.expiresAtMs &&
        waiter === undefined &&
        !isTaken,
    );
    return free.find(({ isDecided }) => isDecided) ?? free[0];
  }

  /** Whether no further one of its session or caller may wait. */
  isCrowdedFor({ principal, request: { session } }: HeldRequest): boolean {
    const isFull = this.all().length >= maxStored;
    const all = this.loaded.flatMap(({ record, decision }) => (decision ? [] : record));
    const ofCaller = all.filter(({ caller }) => caller === principal.name);
    const ofSession = ofCaller.filter((record) => record.session === session);
    return (
      isFull ||
      all.length >= maxHeld.all ||
      ofCaller.length >= maxHeld.caller ||
      ofSession.length >= maxHeld.session
    );
  }

  /** @throws StoreFailed */
  async put({ record, ...answers }: HeldEntry, event?: AuditEvent): Promise<void> {
    const bytes = encoded(record, answers);
    await this.store.commit((tx) => {
      tx.raw(({ meta }) => meta.putSync(keyOf(record), bytes));
      if (event) tx.appendAudit(event);
    });
  }

  /** Takes it out of the table alone. @throws StoreFailed */
  async unstore({ record }: HeldEntry, event?: AuditEvent): Promise<void> {
    await this.store.commit((tx) => {
      tx.raw(({ meta }) => meta.removeSync(keyOf(record)));
      if (event) tx.appendAudit(event);
    });
  }

  /** Takes it out of the memory alone. */
  forget({ record: { id } }: HeldEntry): void {
    this.#entries.delete(id);
  }

  /** Forgets all; what is in the table stays. @returns what there was */
  clear(): HeldEntry[] {
    const all = this.loaded;
    this.#entries.clear();
    this.#isOpen = false;
    return all;
  }
}

function keyOf({ id }: HeldRecord): string {
  return `${prefix}${id}`;
}

function encoded(
  { digest, sinceMs, expiresAtMs, session, ...record }: HeldRecord,
  { approvedBy, decision }: Answers,
): Uint8Array {
  const { approver = "", approves: approved = false, reason = "" }: Partial<HeldDecision> = decision ?? {};
  const message = create(HeldRequestRecordSchema, {
    ...record,
    ...(session !== undefined && { session }),
    digest: Buffer.from(digest, "hex"),
    ...{ sinceMs: BigInt(sinceMs), expiresAtMs: BigInt(expiresAtMs), approver, approved, reason },
    approvedBy: [...approvedBy],
  });
  return toBinary(HeldRequestRecordSchema, message);
}

/** What approvers said of a request. */
type Answers = Pick<HeldEntry, "approvedBy" | "decision">;

function decoded(bytes: Uint8Array): Pick<HeldEntry, "record"> & Answers {
  const message = fromBinary(HeldRequestRecordSchema, bytes);
  const {
    $typeName: _,
    $unknown: _unknown,
    approver,
    approved,
    reason,
    session,
    approvedBy,
    ...record
  } = message;
  return {
    record: {
      ...record,
      ...{ session, digest: Buffer.from(record.digest).toString("hex") },
      ...{ sinceMs: Number(record.sinceMs), expiresAtMs: Number(record.expiresAtMs) },
    },
    approvedBy,
    decision: approver === "" ? undefined : { approver, approves: approved, reason },
  };
}

/** Of traces: they differ each time that a program sends one request, and no API goes by them (W3C Trace Context). */
const uncounted: ReadonlySet<string> = new Set(["traceparent", "tracestate"]);

export function schemeOf({ isPlain }: DescribedRequest): string {
  return isPlain ? "http" : "https";
}

/**
 * SHA-256 of all that an approver says yes to, hexadecimal. Two requests that differ in any of it have two digests, and one has always the
 * same: JSON keeps its parts apart, whatever is in them, and headers are sorted.
 */
export function digestOf({
  principal,
  connection,
  request,
}: Pick<HeldRequest, "principal" | "connection" | "request">): string {
  const headers = [...(request.headers ?? [])]
    .filter(([name]) => !uncounted.has(name))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const { method = null, host = null, target = null, body, session = null } = request;
  const content = body ? [body.size, body.digest] : null;
  const whole = [
    "nexusd-request-1",
    method,
    schemeOf(request),
    host,
    target,
    request.headers ? headers : null,
    content,
  ];
  const text = JSON.stringify([...whole, principal.name, session, connection.connectionId]);
  return createHash("sha256").update(text).digest("hex");
}
