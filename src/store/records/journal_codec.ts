import { ImportRecordSchema, RevocationRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { PendingImport } from "../../model/connections/pending_import.js";
import { type PendingRevocation, tokenTypeHints } from "../../model/connections/revocation.js";
import { optionalFlag, optionalText, optionalTime, recordForm, texts, time } from "./record_form.js";
import { optionalSealed, sealed } from "./sealed_codec.js";

/** The record has another name for `binding`. */
type Bound<Model> = Omit<Model, "binding"> & { readonly grantBinding: string | undefined };

const revocations = recordForm<Bound<PendingRevocation>, typeof RevocationRecordSchema>(
  RevocationRecordSchema,
  {
    tokenTypeHint: {
      encode: (hint) => hint,
      decode: (text) => tokenTypeHints.find((hint) => hint === text) ?? "refresh_token",
    },
    createdAtMs: time,
    nextAttemptMs: time,
    sealed,
    grantBinding: optionalText,
    tokenExpiresAtMs: optionalTime,
  },
);

export function encodeRevocation({ binding, ...revocation }: PendingRevocation): Uint8Array {
  return revocations.encode({ ...revocation, grantBinding: binding });
}

export function decodeRevocation(bytes: Uint8Array): PendingRevocation {
  const { grantBinding: binding, ...revocation } = revocations.decode(bytes);
  return { ...revocation, binding };
}

const imports = recordForm<
  Omit<Bound<PendingImport>, "principal"> & {
    readonly principal: string;
    readonly origin: string | undefined;
  },
  typeof ImportRecordSchema
>(ImportRecordSchema, {
  scopes: texts,
  origin: optionalText,
  startedAtMs: time,
  sealed: optionalSealed,
  grantBinding: optionalText,
  owner: optionalText,
  keyed: optionalFlag,
});

export function encodeImport({ binding, principal, ...pending }: PendingImport): Uint8Array {
  const { name, origin } = principal;
  return imports.encode({ ...pending, grantBinding: binding, principal: name, origin });
}

export function decodeImport(bytes: Uint8Array): PendingImport {
  const { grantBinding: binding, principal: name, origin, ...pending } = imports.decode(bytes);
  return { ...pending, binding, principal: origin === undefined ? { name } : { name, origin } };
}
