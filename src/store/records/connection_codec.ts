import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConnectionRecordSchema,
  ProblemRecordSchema,
  RefreshIntentRecordSchema,
  RefusalsRecordSchema,
  type RefusedConsentRecord,
  RefusedConsentRecordSchema,
  StepUpRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import {
  type Connection,
  connectionStatuses,
  type Problem,
  type RefreshIntent,
  type Refusals,
  type StepUp,
  type UnfulfilledRequest,
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
import { nested, optionalFlag, optionalText, optionalTime, recordForm, texts, time } from "./record_form.js";

// Every field of a connection stands here by name, both ways: each change that a watcher follows is decoded, and spreading takes more than twice the time.

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
    checkedAtMs: encodeTime(connection.checkedAtMs),
  });
  if (connection.providerRevocation !== undefined) {
    record.providerRevocation = encodeWord(providerRevocations, connection.providerRevocation);
  }
  if (account !== undefined) {
    record.account = accountMessage(account);
    record.accountSource = account.source;
  }
  if (stepUp !== undefined) record.stepUp = stepUps.toMessage(stepUp);
  if (refusedConsent !== undefined) record.refusedConsent = refusedConsents.toMessage(refusedConsent);
  if (problem !== undefined) record.problem = problems.toMessage(problem);
  if (refreshIntent !== undefined) record.refreshIntent = intents.toMessage(refreshIntent);
  return (changeRevision) => {
    record.changeRevision = changeRevision;
    return toBinary(ConnectionRecordSchema, record);
  };
}

const refusals = recordForm<Refusals, typeof RefusalsRecordSchema>(RefusalsRecordSchema, {
  sinceMs: time,
  lastMs: time,
});

const problems = recordForm<Problem, typeof ProblemRecordSchema>(ProblemRecordSchema, {
  reason: { encode: (reason) => reason, decode: problemReason },
  sinceMs: time,
  retryAtMs: optionalTime,
  firm: optionalFlag,
  movedFrom: optionalText,
  detail: optionalText,
  refused: nested(refusals),
});

function isProblemReason(word: string): word is ProblemReason {
  return Object.hasOwn(problemMessages, word);
}

function problemReason(word: string): ProblemReason {
  if (!isProblemReason(word)) throw new RangeError(`unknown problem ${word}`);
  return word;
}

const intents = recordForm<RefreshIntent, typeof RefreshIntentRecordSchema>(RefreshIntentRecordSchema, {
  startedAtMs: time,
  restored: optionalFlag,
  owner: optionalText,
  attempt: optionalText,
});

const stepUps = recordForm<StepUp, typeof StepUpRecordSchema>(StepUpRecordSchema, {
  scopes: texts,
  lastAtMs: time,
});

const refusedConsents = recordForm<UnfulfilledRequest, typeof RefusedConsentRecordSchema>(
  RefusedConsentRecordSchema,
  {
    reason: { encode: (reason) => reason, decode: problemReason },
    refusedAtMs: time,
    detail: optionalText,
  },
);

/** One whose word is of a newer version counts as none, because it is only displayed. */
function decodeRefusedConsent(record: RefusedConsentRecord): UnfulfilledRequest | undefined {
  return isProblemReason(record.reason) ? refusedConsents.fromMessage(record) : undefined;
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
 * A connection that was just written is read next.
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
      problem: record.problem && problems.fromMessage(record.problem),
      failedRefreshes: record.failedRefreshes,
      refreshIntent: record.refreshIntent && intents.fromMessage(record.refreshIntent),
      pendingStateHash: decodeText(Buffer.from(record.pendingStateHash).toString("hex")),
      requestExpiresAtMs: decodeTime(record.requestExpiresAtMs),
      createdAtMs: Number(record.createdAtMs),
      updatedAtMs: Number(record.updatedAtMs),
      dueAtMs: decodeTime(record.dueAtMs),
      subject: decodeText(record.subject),
      strategy: strategyOf(record.strategy) ?? bearerStrategy,
      metadata: record.metadata,
      refreshExpiresAtMs: decodeTime(record.refreshExpiresAtMs),
      awaitingConfirmation: record.awaitingConfirmation || undefined,
      providerRevocation:
        record.providerRevocation === 0
          ? undefined
          : decodeWord(providerRevocations, record.providerRevocation),
      account: record.account && decodeAccount(record.account, record.accountSource),
      stepUp: record.stepUp && stepUps.fromMessage(record.stepUp),
      refusedConsent: record.refusedConsent && decodeRefusedConsent(record.refusedConsent),
      checkedAtMs: decodeTime(record.checkedAtMs),
    },
  };
}
