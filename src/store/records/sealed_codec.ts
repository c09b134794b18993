import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuthorizationRecordSchema,
  ClientKeyRecordSchema,
  CredentialRecordSchema,
  type SealedRecord as SealedMessage,
  SealedRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import { type ClientKey, clientKeyTypes } from "../../model/clients/client_key.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { SealedCredential, SealedRecord } from "../../model/credentials/credential.js";
import { decodeText, decodeTime, decodeWord, encodeTime, encodeWord, fieldsOf } from "./field_codec.js";

export function toSealedMessage(sealed: SealedRecord): SealedMessage {
  return create(SealedRecordSchema, {
    keyId: sealed.keyId,
    nonce: sealed.nonce.slice(),
    ciphertext: sealed.ciphertext.slice(),
    layout: sealed.layout,
  });
}

/** A record that was written without its sealed part is an error of this program, and opens nothing. */
export function fromSealedMessage(message: SealedMessage | undefined): SealedRecord {
  const { keyId, nonce, ciphertext, layout } = message ?? create(SealedRecordSchema);
  return { keyId, nonce, ciphertext, layout };
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
  return { revision: record.revision, sealed: fromSealedMessage(record.sealed) };
}

export function encodeAuthorization(pending: PendingAuthorization): Uint8Array {
  const record = create(AuthorizationRecordSchema, {
    ...pending,
    scopes: [...pending.scopes],
    returnUrl: pending.returnUrl ?? "",
    deviceIntervalMs: pending.deviceIntervalMs ?? 0,
    expiresAtMs: encodeTime(pending.expiresAtMs),
    sealed: toSealedMessage(pending.sealed),
  });
  return toBinary(AuthorizationRecordSchema, record);
}

export function decodeAuthorization(bytes: Uint8Array): PendingAuthorization {
  const fields = fieldsOf(fromBinary(AuthorizationRecordSchema, bytes));
  return {
    ...fields,
    returnUrl: decodeText(fields.returnUrl),
    deviceIntervalMs: fields.deviceIntervalMs === 0 ? undefined : fields.deviceIntervalMs,
    expiresAtMs: Number(fields.expiresAtMs),
    sealed: fromSealedMessage(fields.sealed),
  };
}

export function encodeClientKey({
  kid,
  type,
  createdAtMs,
  signsFromMs,
  endsAtMs,
  sealed,
}: ClientKey): Uint8Array {
  const record = create(ClientKeyRecordSchema, {
    kid,
    type: encodeWord(clientKeyTypes, type),
    createdAtMs: encodeTime(createdAtMs),
    signsFromMs: encodeTime(signsFromMs),
    endsAtMs: encodeTime(endsAtMs),
    sealed: toSealedMessage(sealed),
  });
  return toBinary(ClientKeyRecordSchema, record);
}

/** @throws RangeError on a type that this version does not know */
export function decodeClientKey(bytes: Uint8Array): ClientKey {
  const { type, ...fields } = fieldsOf(fromBinary(ClientKeyRecordSchema, bytes));
  return {
    ...fields,
    type: decodeWord(clientKeyTypes, type),
    createdAtMs: Number(fields.createdAtMs),
    signsFromMs: Number(fields.signsFromMs),
    endsAtMs: decodeTime(fields.endsAtMs),
    sealed: fromSealedMessage(fields.sealed),
  };
}
