import { create } from "@bufbuild/protobuf";
import {
  AuthorizationRecordSchema,
  ClientKeyRecordSchema,
  CredentialRecordSchema,
  type SealedRecord as SealedMessage,
  SealedRecordSchema,
  SignInNeedRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import { type ClientKey, clientKeyTypes } from "../../model/clients/client_key.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { SignInNeed } from "../../model/connections/sign_in.js";
import type { SealedCredential, SealedRecord } from "../../model/credentials/credential.js";
import {
  nested,
  optionalText,
  optionalTime,
  recordForm,
  texts,
  time,
  type ValueForm,
  word,
} from "./record_form.js";

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

export const sealed: ValueForm<SealedRecord, SealedMessage | undefined> = {
  encode: toSealedMessage,
  decode: fromSealedMessage,
};
export const optionalSealed = nested({ toMessage: toSealedMessage, fromMessage: fromSealedMessage });

export const { encode: encodeSealedCredential, decode: decodeSealedCredential } = recordForm<
  SealedCredential,
  typeof CredentialRecordSchema
>(CredentialRecordSchema, { sealed });

const signIns = recordForm<SignInNeed, typeof SignInNeedRecordSchema>(SignInNeedRecordSchema, {
  acrValues: texts,
});

export const { encode: encodeAuthorization, decode: decodeAuthorization } = recordForm<
  PendingAuthorization,
  typeof AuthorizationRecordSchema
>(AuthorizationRecordSchema, {
  scopes: texts,
  returnUrl: optionalText,
  expiresAtMs: time,
  deviceIntervalMs: { encode: (intervalMs) => intervalMs, decode: (intervalMs) => intervalMs || undefined },
  signIn: nested(signIns),
  sealed,
});

/** Decodes no type that this version does not know: it throws RangeError. */
export const { encode: encodeClientKey, decode: decodeClientKey } = recordForm<
  ClientKey,
  typeof ClientKeyRecordSchema
>(ClientKeyRecordSchema, {
  type: word(clientKeyTypes),
  createdAtMs: time,
  signsFromMs: time,
  endsAtMs: optionalTime,
  sealed,
});
