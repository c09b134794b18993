import type { SealedRecord } from "../../model/credentials/credential.js";
import type { Databases } from "../lmdb/databases.js";
import { encodeStateHash } from "../records/field_codec.js";
import { decodeImport, decodeRevocation } from "../records/journal_codec.js";
import { decodeProvider } from "../records/provider_codec.js";
import { decodeAuthorization, decodeClientKey, decodeSealedCredential } from "../records/sealed_codec.js";
import { unlessUnreadable } from "../records/unreadable.js";

/** Every kind of record that holds something sealed, the check of the key excepted. */
export const sealedKinds = [
  "client_secret",
  "registration",
  "credential",
  "authorization",
  "revocation",
  "import",
  "client_key",
] as const;
export type SealedKind = (typeof sealedKinds)[number];

/** One record that may hold something sealed. */
export interface SealedEntry {
  /** Its key; hexadecimal for a pending authorization. */
  readonly key: string;
  /** Undefined when it holds none, or cannot be read. */
  readonly sealed: SealedRecord | undefined;
  readonly isReadable: boolean;
}

/** The records of a kind after a key, in the order of the keys. */
export function walkSealed(
  databases: Databases,
  kind: SealedKind,
  after: string | undefined,
  limit: number,
): SealedEntry[] {
  const decode = decoders[kind];
  const entries: SealedEntry[] = [];
  for (const { key, value } of range(databases, kind, after, limit)) {
    const decoded = unlessUnreadable(() => ({ sealed: decode(value) }));
    entries.push({ key, sealed: decoded?.sealed, isReadable: decoded !== undefined });
  }
  return entries;
}

const decoders: Readonly<Record<SealedKind, (bytes: Uint8Array) => SealedRecord | undefined>> = {
  client_secret: (bytes) => decodeProvider(bytes).clientSecret,
  registration: (bytes) => decodeProvider(bytes).registration?.accessToken,
  credential: (bytes) => decodeSealedCredential(bytes).sealed,
  authorization: (bytes) => decodeAuthorization(bytes).sealed,
  revocation: (bytes) => decodeRevocation(bytes).sealed,
  import: (bytes) => decodeImport(bytes).sealed,
  client_key: (bytes) => decodeClientKey(bytes).sealed,
};

function* range(
  databases: Databases,
  kind: SealedKind,
  after: string | undefined,
  limit: number,
): Generator<{ key: string; value: Uint8Array }> {
  if (kind === "authorization") {
    const start = after === undefined ? {} : { start: encodeStateHash(after), exclusiveStart: true };
    for (const { key, value } of databases.authorizations.getRange({ ...start, limit })) {
      yield { key: Buffer.from(key).toString("hex"), value };
    }
    return;
  }
  const start = after === undefined ? {} : { start: after, exclusiveStart: true };
  const database = {
    client_secret: databases.providers,
    registration: databases.providers,
    credential: databases.credentials,
    revocation: databases.revocations,
    import: databases.imports,
    client_key: databases.clientKeys,
  }[kind];
  yield* database.getRange({ ...start, limit });
}
