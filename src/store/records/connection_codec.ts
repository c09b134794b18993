import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConnectionRecordSchema,
  type ProblemRecord,
  ProblemRecordSchema,
  type RefreshIntentRecord,
  RefreshIntentRecordSchema,
  type RefusalsRecord,
  RefusalsRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import {
  type Connection,
  connectionStatuses,
  type Problem,
  type RefreshIntent,
  type Refusals,
} from "../../model/connections/connection.js";
import { providerRevocations } from "../../model/connections/revocation.js";
import { bearerStrategy } from "../../model/credentials/strategy.js";
import { type ProblemReason, problemMessages } from "../../model/problem_reason.js";
import { strategyMessage, strategyOf } from "../../model/providers/strategy_message.js";
import {
  decodeText,
  decodeTime,
  decodeWord,
  encodeStateHash,
  encodeTime,
  encodeWord,
  fieldsOf,
} from "./field_codec.js";

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
  const { pendingStateHash, problem, refreshIntent, providerRevocation, ...members } = connection;
  const record = create(ConnectionRecordSchema, {
    ...members,
    status: encodeWord(connectionStatuses, connection.status),
    requestedScopes: [...connection.requestedScopes],
    grantedScopes: [...connection.grantedScopes],
    expiresAtMs: encodeTime(connection.expiresAtMs),
    issuedAtMs: encodeTime(connection.issuedAtMs),
    refreshNotBeforeMs: encodeTime(connection.refreshNotBeforeMs),
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
    ...(problem && { problem: encodeProblem(problem) }),
    ...(refreshIntent && { refreshIntent: encodeIntent(refreshIntent) }),
    ...(providerRevocation && {
      providerRevocation: encodeWord(providerRevocations, providerRevocation),
    }),
  });
  return (changeRevision) => {
    record.changeRevision = changeRevision;
    return toBinary(ConnectionRecordSchema, record);
  };
}

function encodeProblem({ refused, ...problem }: Problem): ProblemRecord {
  return create(ProblemRecordSchema, {
    ...problem,
    sinceMs: BigInt(problem.sinceMs),
    retryAtMs: encodeTime(problem.retryAtMs),
    ...(refused && { refused: encodeRefusals(refused) }),
  });
}

function encodeIntent(intent: RefreshIntent): RefreshIntentRecord {
  return create(RefreshIntentRecordSchema, { ...intent, startedAtMs: BigInt(intent.startedAtMs) });
}

function isProblemReason(word: string): word is ProblemReason {
  return Object.hasOwn(problemMessages, word);
}

function decodeProblem(record: ProblemRecord): Problem {
  const { firm, movedFrom, refused, ...fields } = fieldsOf(record);
  const { reason } = fields;
  if (!isProblemReason(reason)) throw new RangeError(`unknown problem ${reason}`);
  return {
    reason,
    sinceMs: Number(fields.sinceMs),
    retryAtMs: decodeTime(fields.retryAtMs),
    ...(firm && { firm }),
    ...(movedFrom !== "" && { movedFrom }),
    ...(refused && { refused: decodeRefusals(refused) }),
  };
}

function encodeRefusals({ sinceMs, lastMs, ...counts }: Refusals): RefusalsRecord {
  return create(RefusalsRecordSchema, { ...counts, sinceMs: BigInt(sinceMs), lastMs: BigInt(lastMs) });
}

function decodeRefusals(record: RefusalsRecord): Refusals {
  const fields = fieldsOf(record);
  return { ...fields, sinceMs: Number(fields.sinceMs), lastMs: Number(fields.lastMs) };
}

function decodeIntent(record: RefreshIntentRecord): RefreshIntent {
  const { restored, startedAtMs, ...fields } = fieldsOf(record);
  return { ...fields, startedAtMs: Number(startedAtMs), ...(restored && { restored }) };
}

/** @throws RangeError on a word or number that this version does not know */
export function decodeConnection(bytes: Uint8Array): StoredConnection {
  const record = fromBinary(ConnectionRecordSchema, bytes);
  const { changeRevision, refreshExpiresAtMs, awaitingConfirmation, providerRevocation, ...fields } =
    fieldsOf(record);
  return {
    changeRevision,
    connection: {
      ...fields,
      status: decodeWord(connectionStatuses, fields.status),
      expiresAtMs: decodeTime(fields.expiresAtMs),
      issuedAtMs: decodeTime(fields.issuedAtMs),
      refreshNotBeforeMs: decodeTime(fields.refreshNotBeforeMs),
      problem: fields.problem && decodeProblem(fields.problem),
      refreshIntent: fields.refreshIntent && decodeIntent(fields.refreshIntent),
      pendingStateHash: decodeText(Buffer.from(fields.pendingStateHash).toString("hex")),
      requestExpiresAtMs: decodeTime(fields.requestExpiresAtMs),
      createdAtMs: Number(fields.createdAtMs),
      updatedAtMs: Number(fields.updatedAtMs),
      dueAtMs: decodeTime(fields.dueAtMs),
      subject: decodeText(fields.subject),
      strategy: strategyOf(fields.strategy) ?? bearerStrategy,
      ...(refreshExpiresAtMs !== 0n && { refreshExpiresAtMs: Number(refreshExpiresAtMs) }),
      ...(awaitingConfirmation && { awaitingConfirmation }),
      ...(providerRevocation !== 0 && {
        providerRevocation: decodeWord(providerRevocations, providerRevocation),
      }),
    },
  };
}
