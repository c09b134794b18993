import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ConnectionRecord,
  ConnectionRecordSchema,
  type ProblemRecord,
  ProblemRecordSchema,
  RefreshIntentRecordSchema,
  type RefusalsRecord,
  RefusalsRecordSchema,
  type RefusedConsentRecord,
  RefusedConsentRecordSchema,
  type StepUpRecord,
  StepUpRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import {
  type Connection,
  connectionStatuses,
  type Problem,
  type Refusals,
  type RefusedConsent,
} from "../../model/connections/connection.js";
import { providerRevocations } from "../../model/connections/revocation.js";
import { bearerStrategy } from "../../model/credentials/strategy.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import { strategyMessage, strategyOf } from "../../model/providers/strategy_message.js";
import { accountMessage, decodeAccount } from "./account_codec.js";
import {
  decodeText,
  decodeTime,
  decodeWord,
  encodeStateHash,
  encodeTime,
  encodeWord,
} from "./field_codec.js";

// Every field stands here by name, both ways: each change that a watcher follows is decoded, and spreading takes more than twice the time.

/** A connection with the revision of its newest change, which is the key of its entry in `changes`. */
export interface StoredConnection {
  readonly connection: Connection;
  readonly changeRevision: bigint;
}

/**
 * Checks the connection, then waits for the revision of its change.
 *
 * @throws RangeError on an optional time that is not a whole number above 0, or a malformed state hash
 */
export function connectionEncoder(connection: Connection): (changeRevision: bigint) => Uint8Array {
  const { pendingStateHash, problem, refreshIntent, stepUp, account, refusedConsent } = connection;
  const record = create(ConnectionRecordSchema, {
    id: connection.id,
    userId: connection.userId,
    providerId: connection.providerId,
    providerName: connection.providerName,
    label: connection.label,
    status: encodeWord(connectionStatuses, connection.status),
    credentialRevision: connection.credentialRevision,
    requestedScopes: [...connection.requestedScopes],
    grantedScopes: [...connection.grantedScopes],
    consentedScopes: [...connection.consentedScopes],
    expiresAtMs: encodeTime(connection.expiresAtMs),
    issuedAtMs: encodeTime(connection.issuedAtMs),
    refreshable: connection.refreshable,
    refreshNotBeforeMs: encodeTime(connection.refreshNotBeforeMs),
    failedRefreshes: connection.failedRefreshes,
    pendingStateHash: pendingStateHash === undefined ? new Uint8Array(0) : encodeStateHash(pendingStateHash),
    requestExpiresAtMs: encodeTime(connection.requestExpiresAtMs),
    createdAtMs: BigInt(connection.createdAtMs),
    updatedAtMs: BigInt(connection.updatedAtMs),
    dueAtMs: encodeTime(connection.dueAtMs),
    subject: connection.subject ?? "",
    strategy: strategyMessage(connection.strategy),
    metadata: { ...connection.metadata },
    refreshExpiresAtMs: encodeTime(connection.refreshExpiresAtMs),
    awaitingConfirmation: connection.awaitingConfirmation === true,
  });
  if (connection.providerRevocation !== undefined) {
    record.providerRevocation = encodeWord(providerRevocations, connection.providerRevocation);
  }
  if (account !== undefined) {
    record.account = accountMessage(account);
    record.accountSource = account.source;
  }
  if (stepUp !== undefined) {
    const { scopes, lastAtMs, ...rest } = stepUp;
    record.stepUp = create(StepUpRecordSchema, { ...rest, scopes: [...scopes], lastAtMs: BigInt(lastAtMs) });
  }
  if (refusedConsent !== undefined) record.refusedConsent = encodeRefusedConsent(refusedConsent);
  if (problem !== undefined) record.problem = encodeProblem(problem);
  if (refreshIntent !== undefined) {
    record.refreshIntent = create(RefreshIntentRecordSchema, {
      credentialRevision: refreshIntent.credentialRevision,
      startedAtMs: BigInt(refreshIntent.startedAtMs),
      sends: refreshIntent.sends,
      restored: refreshIntent.restored === true,
      owner: refreshIntent.owner ?? "",
      attempt: refreshIntent.attempt ?? "",
    });
  }
  return (changeRevision) => {
    record.changeRevision = changeRevision;
    return toBinary(ConnectionRecordSchema, record);
  };
}

function encodeProblem({ refused, ...problem }: Problem): ProblemRecord {
  return create(ProblemRecordSchema, {
    reason: problem.reason,
    sinceMs: BigInt(problem.sinceMs),
    retryAtMs: encodeTime(problem.retryAtMs),
    firm: problem.firm === true,
    movedFrom: problem.movedFrom ?? "",
    detail: problem.detail ?? "",
    ...(refused === undefined ? {} : { refused: encodeRefusals(refused) }),
  });
}

function isProblemReason(word: string): word is ProblemReason {
  return Object.hasOwn(problemMessages, word);
}

function decodeProblem(record: ConnectionRecord["problem"]): Problem | undefined {
  if (record === undefined) return undefined;
  if (!isProblemReason(record.reason)) throw new RangeError(`unknown problem ${record.reason}`);
  return {
    reason: record.reason,
    sinceMs: Number(record.sinceMs),
    retryAtMs: decodeTime(record.retryAtMs),
    ...(record.firm ? { firm: true } : {}),
    ...(record.movedFrom === "" ? {} : { movedFrom: record.movedFrom }),
    ...(record.detail === "" ? {} : { detail: record.detail }),
    ...(record.refused === undefined ? {} : { refused: decodeRefusals(record.refused) }),
  };
}

function encodeRefusals({ sinceMs, lastMs, ...counts }: Refusals): RefusalsRecord {
  return create(RefusalsRecordSchema, { ...counts, sinceMs: BigInt(sinceMs), lastMs: BigInt(lastMs) });
}

function decodeRefusals(record: RefusalsRecord): Refusals {
  const { sinceMs, lastMs, times, alone, profileVersion, httpStatus } = record;
  return { sinceMs: Number(sinceMs), lastMs: Number(lastMs), times, alone, profileVersion, httpStatus };
}

function decodeIntent(record: ConnectionRecord["refreshIntent"]): Connection["refreshIntent"] {
  if (record === undefined) return undefined;
  return {
    credentialRevision: record.credentialRevision,
    startedAtMs: Number(record.startedAtMs),
    sends: record.sends,
    ...(record.restored ? { restored: true } : {}),
    ...(record.owner !== "" && { owner: record.owner }),
    ...(record.attempt !== "" && { attempt: record.attempt }),
  };
}

function decodeStepUp({ scopes, attempts, lastAtMs, wanted }: StepUpRecord): Connection["stepUp"] {
  return { scopes, attempts, lastAtMs: Number(lastAtMs), wanted };
}

function encodeRefusedConsent({ reason, refusedAtMs, detail = "" }: RefusedConsent): RefusedConsentRecord {
  return create(RefusedConsentRecordSchema, { reason, refusedAtMs: BigInt(refusedAtMs), detail });
}

/** One whose word is of a newer version is as none: it is only shown. */
function decodeRefusedConsent({
  reason,
  refusedAtMs,
  detail,
}: RefusedConsentRecord): Connection["refusedConsent"] {
  if (!isProblemReason(reason)) return undefined;
  return { reason, refusedAtMs: Number(refusedAtMs), ...(detail !== "" && { detail }) };
}

/** Connections that were decoded or written lately, by their ids. A record that has other bytes is decoded again. */
const lately = new Map<string, { readonly bytes: Uint8Array; readonly stored: StoredConnection }>();
/** Some 1 MiB: those of a storm, each of which is read eight times while it is refreshed, and a page of a snapshot. */
const maxLately = 512;
const replacement = Buffer.from("\ufffd");

/** The connection of a record, which is mostly read for another time. @throws RangeError as `decodeConnection` */
export function decodedConnection(id: string, bytes: Uint8Array): StoredConnection {
  const known = lately.get(id);
  if (known && Buffer.compare(known.bytes, bytes) === 0) return known.stored;
  const stored = decodeConnection(bytes);
  keep(Buffer.from(bytes), stored);
  return stored;
}

/**
 * Anyone who writes a connection is followed by those who read it.
 *
 * @param bytes what `stored` was encoded to; nobody changes either
 */
export function keepWritten(bytes: Uint8Array, stored: StoredConnection): void {
  // Half of a surrogate pair, as a provider may send, was written as U+FFFD: what is read back is another text.
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(replacement)) keep(bytes, stored);
}

function keep(bytes: Uint8Array, stored: StoredConnection): void {
  if (lately.size >= maxLately) lately.clear();
  lately.set(stored.connection.id, { bytes, stored });
}

/** @throws RangeError on a word or number that this version does not know */
export function decodeConnection(bytes: Uint8Array): StoredConnection {
  const record = fromBinary(ConnectionRecordSchema, bytes);
  return {
    changeRevision: record.changeRevision,
    connection: {
      id: record.id,
      userId: record.userId,
      providerId: record.providerId,
      providerName: record.providerName,
      label: record.label,
      status: decodeWord(connectionStatuses, record.status),
      credentialRevision: record.credentialRevision,
      requestedScopes: record.requestedScopes,
      grantedScopes: record.grantedScopes,
      consentedScopes: record.consentedScopes,
      expiresAtMs: decodeTime(record.expiresAtMs),
      issuedAtMs: decodeTime(record.issuedAtMs),
      refreshable: record.refreshable,
      refreshNotBeforeMs: decodeTime(record.refreshNotBeforeMs),
      problem: decodeProblem(record.problem),
      failedRefreshes: record.failedRefreshes,
      refreshIntent: decodeIntent(record.refreshIntent),
      pendingStateHash: decodeText(Buffer.from(record.pendingStateHash).toString("hex")),
      requestExpiresAtMs: decodeTime(record.requestExpiresAtMs),
      createdAtMs: Number(record.createdAtMs),
      updatedAtMs: Number(record.updatedAtMs),
      dueAtMs: decodeTime(record.dueAtMs),
      subject: decodeText(record.subject),
      strategy: strategyOf(record.strategy) ?? bearerStrategy,
      metadata: record.metadata,
      ...(record.refreshExpiresAtMs === 0n
        ? {}
        : { refreshExpiresAtMs: decodeTime(record.refreshExpiresAtMs) }),
      ...(record.awaitingConfirmation ? { awaitingConfirmation: true } : {}),
      ...(record.providerRevocation === 0
        ? {}
        : { providerRevocation: decodeWord(providerRevocations, record.providerRevocation) }),
      ...(record.account === undefined
        ? {}
        : { account: decodeAccount(record.account, record.accountSource) }),
      ...(record.stepUp === undefined ? {} : { stepUp: decodeStepUp(record.stepUp) }),
      ...(record.refusedConsent === undefined
        ? {}
        : { refusedConsent: decodeRefusedConsent(record.refusedConsent) }),
    },
  };
}
