import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ImportRecordSchema,
  RevocationRecordSchema,
  SealedRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { PendingImport } from "../../model/connections/pending_import.js";
import { type PendingRevocation, tokenTypeHints } from "../../model/connections/revocation.js";
import { decodeTime, encodeTime } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

export function encodeRevocation(revocation: PendingRevocation): Uint8Array {
  const record = create(RevocationRecordSchema, {
    id: revocation.id,
    connectionId: revocation.connectionId,
    providerId: revocation.providerId,
    revision: revocation.revision,
    tokenTypeHint: revocation.tokenTypeHint,
    attempts: revocation.attempts,
    createdAtMs: encodeTime(revocation.createdAtMs),
    nextAttemptMs: encodeTime(revocation.nextAttemptMs),
    sealed: toSealedMessage(revocation.sealed),
    grantBinding: revocation.binding ?? "",
    tokenExpiresAtMs: encodeTime(revocation.tokenExpiresAtMs),
  });
  return toBinary(RevocationRecordSchema, record);
}

export function decodeRevocation(bytes: Uint8Array): PendingRevocation {
  const record = fromBinary(RevocationRecordSchema, bytes);
  return {
    id: record.id,
    connectionId: record.connectionId,
    providerId: record.providerId,
    revision: record.revision,
    tokenTypeHint: tokenTypeHints.find((hint) => hint === record.tokenTypeHint) ?? "refresh_token",
    attempts: record.attempts,
    createdAtMs: Number(record.createdAtMs),
    nextAttemptMs: Number(record.nextAttemptMs),
    sealed: fromSealedMessage(record.sealed ?? create(SealedRecordSchema)),
    ...(record.grantBinding === "" ? {} : { binding: record.grantBinding }),
    ...(record.tokenExpiresAtMs === 0n ? {} : { tokenExpiresAtMs: decodeTime(record.tokenExpiresAtMs) }),
  };
}

export function encodeImport(pending: PendingImport): Uint8Array {
  const record = create(ImportRecordSchema, {
    connectionId: pending.connectionId,
    providerId: pending.providerId,
    userId: pending.userId,
    label: pending.label,
    scopes: [...pending.scopes],
    principal: pending.principal.name,
    origin: pending.principal.origin ?? "",
    startedAtMs: encodeTime(pending.startedAtMs),
    grantBinding: pending.binding ?? "",
  });
  if (pending.sealed) record.sealed = toSealedMessage(pending.sealed);
  return toBinary(ImportRecordSchema, record);
}

export function decodeImport(bytes: Uint8Array): PendingImport {
  const record = fromBinary(ImportRecordSchema, bytes);
  const name = record.principal;
  return {
    connectionId: record.connectionId,
    providerId: record.providerId,
    userId: record.userId,
    label: record.label,
    scopes: record.scopes,
    principal: record.origin === "" ? { name } : { name, origin: record.origin },
    startedAtMs: Number(record.startedAtMs),
    sealed: record.sealed && fromSealedMessage(record.sealed),
    ...(record.grantBinding === "" ? {} : { binding: record.grantBinding }),
  };
}
