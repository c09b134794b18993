import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ImportRecordSchema, RevocationRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { PendingImport } from "../../model/connections/pending_import.js";
import { type PendingRevocation, tokenTypeHints } from "../../model/connections/revocation.js";
import { encodeTime, fieldsOf } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

export function encodeRevocation({ binding = "", ...revocation }: PendingRevocation): Uint8Array {
  const record = create(RevocationRecordSchema, {
    ...revocation,
    createdAtMs: encodeTime(revocation.createdAtMs),
    nextAttemptMs: encodeTime(revocation.nextAttemptMs),
    sealed: toSealedMessage(revocation.sealed),
    grantBinding: binding,
    tokenExpiresAtMs: encodeTime(revocation.tokenExpiresAtMs),
  });
  return toBinary(RevocationRecordSchema, record);
}

export function decodeRevocation(bytes: Uint8Array): PendingRevocation {
  const { grantBinding, tokenExpiresAtMs, ...fields } = fieldsOf(fromBinary(RevocationRecordSchema, bytes));
  return {
    ...fields,
    tokenTypeHint: tokenTypeHints.find((hint) => hint === fields.tokenTypeHint) ?? "refresh_token",
    createdAtMs: Number(fields.createdAtMs),
    nextAttemptMs: Number(fields.nextAttemptMs),
    sealed: fromSealedMessage(fields.sealed),
    ...(grantBinding !== "" && { binding: grantBinding }),
    ...(tokenExpiresAtMs !== 0n && { tokenExpiresAtMs: Number(tokenExpiresAtMs) }),
  };
}

export function encodeImport({ sealed, binding = "", ...pending }: PendingImport): Uint8Array {
  const record = create(ImportRecordSchema, {
    ...pending,
    scopes: [...pending.scopes],
    principal: pending.principal.name,
    origin: pending.principal.origin ?? "",
    startedAtMs: encodeTime(pending.startedAtMs),
    grantBinding: binding,
    ...(sealed && { sealed: toSealedMessage(sealed) }),
    keyed: pending.keyed === true,
  });
  return toBinary(ImportRecordSchema, record);
}

export function decodeImport(bytes: Uint8Array): PendingImport {
  const { origin, grantBinding, owner, keyed, ...fields } = fieldsOf(fromBinary(ImportRecordSchema, bytes));
  const name = fields.principal;
  return {
    ...fields,
    principal: origin === "" ? { name } : { name, origin },
    startedAtMs: Number(fields.startedAtMs),
    sealed: fields.sealed && fromSealedMessage(fields.sealed),
    ...(owner !== "" && { owner }),
    ...(grantBinding !== "" && { binding: grantBinding }),
    ...(keyed && { keyed }),
  };
}
