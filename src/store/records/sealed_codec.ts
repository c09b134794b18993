import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuthorizationRecordSchema,
  CredentialRecordSchema,
  type SealedRecord as SealedMessage,
  SealedRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { SealedCredential, SealedRecord } from "../../model/credentials/credential.js";
import { decodeText, encodeTime } from "./field_codec.js";

export function toSealedMessage(sealed: SealedRecord): SealedMessage {
  return create(SealedRecordSchema, {
    keyId: sealed.keyId,
    nonce: sealed.nonce.slice(),
    ciphertext: sealed.ciphertext.slice(),
    layout: sealed.layout,
  });
}

export function fromSealedMessage(message: SealedMessage): SealedRecord {
  const { keyId, nonce, ciphertext, layout } = message;
  return { keyId, nonce, ciphertext, layout };
}

/** A record that was written without its sealed part: an error of this program. */
function required(message: SealedMessage | undefined): SealedRecord {
  return fromSealedMessage(message ?? create(SealedRecordSchema));
}

export function encodeSealedCredential(credential: SealedCredential): Uint8Array {
  const { revision, sealed } = credential;
  return toBinary(
    CredentialRecordSchema,
    create(CredentialRecordSchema, { revision, sealed: toSealedMessage(sealed) }),
  );
}

export function decodeSealedCredential(bytes: Uint8Array): SealedCredential {
  const record = fromBinary(CredentialRecordSchema, bytes);
  return { revision: record.revision, sealed: required(record.sealed) };
}

export function encodeAuthorization(pending: PendingAuthorization): Uint8Array {
  return toBinary(
    AuthorizationRecordSchema,
    create(AuthorizationRecordSchema, {
      connectionId: pending.connectionId,
      providerId: pending.providerId,
      providerVersion: pending.providerVersion,
      scopes: [...pending.scopes],
      returnUrl: pending.returnUrl ?? "",
      redirectUri: pending.redirectUri,
      expiresAtMs: encodeTime(pending.expiresAtMs),
      sealed: toSealedMessage(pending.sealed),
      requireConfirmation: pending.requireConfirmation,
      requestedBy: pending.requestedBy,
      held: pending.held,
      failedConfirmations: pending.failedConfirmations,
    }),
  );
}

export function decodeAuthorization(bytes: Uint8Array): PendingAuthorization {
  const record = fromBinary(AuthorizationRecordSchema, bytes);
  return {
    connectionId: record.connectionId,
    providerId: record.providerId,
    providerVersion: record.providerVersion,
    scopes: record.scopes,
    returnUrl: decodeText(record.returnUrl),
    redirectUri: record.redirectUri,
    expiresAtMs: Number(record.expiresAtMs),
    sealed: required(record.sealed),
    requireConfirmation: record.requireConfirmation,
    requestedBy: record.requestedBy,
    held: record.held,
    failedConfirmations: record.failedConfirmations,
  };
}
