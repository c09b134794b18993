import { createHash } from "node:crypto";
import {
  CredentialVault,
  importPlace,
  revocationPlace,
} from "../../../src/domain/connections/credential_vault.js";
import type { SealedRecord } from "../../../src/model/credentials/credential.js";
import { DataLoss } from "../../../src/model/errors.js";
import { Secret } from "../../../src/runtime/secret.js";
import {
  decodeImport,
  decodeRevocation,
  encodeImport,
  encodeRevocation,
} from "../../../src/store/records/journal_codec.js";
import { decodeProvider, encodeProvider } from "../../../src/store/records/provider_codec.js";
import {
  decodeAuthorization,
  decodeSealedCredential,
  encodeAuthorization,
  encodeSealedCredential,
} from "../../../src/store/records/sealed_codec.js";
import { readable } from "../../../src/store/records/unreadable.js";
import { Vault } from "../../../src/vault/vault.js";
import { aConnection, aProfile, nowMs, pending, sealed } from "../../samples.js";
import type { Random } from "../../suites/random.js";
import { count, demand, type Target } from "../target.js";

/** A record as it lies on the disk, what was sealed in it, and how it is opened where it lies. */
interface Stored {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly plain: string;
  readonly sealed: SealedRecord;
  /** @throws DataLoss */
  open(bytes: Uint8Array): string;
}

interface Input {
  readonly name: string;
  readonly place: number;
  readonly bytes: Uint8Array;
  /** Whether every byte of the sealed part is as it was written there. */
  readonly isOriginal: boolean;
}

const ring = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

/** Whatever is done to the bytes of a record, it opens to what was sealed at its place, or to nothing. */
export async function recordTarget(): Promise<Target<Input>> {
  const tally = new Map<string, number>();
  const stored = makeStored();
  const input = (name: string, place: number, bytes: Uint8Array, isOriginal = false): Input => ({
    name,
    place,
    bytes,
    isOriginal,
  });
  return {
    tally,
    corpus: stored.flatMap((record, place) => [
      input("as it is", place, record.bytes, true),
      input("empty", place, new Uint8Array()),
      ...stored.flatMap((other, from) =>
        from === place ? [] : [input(`that of ${other.name}`, place, other.bytes)],
      ),
      ...Array.from({ length: record.bytes.length * 8 }, (_, bit) =>
        input(`bit ${bit}`, place, flip(record.bytes, bit)),
      ),
      ...Array.from({ length: record.bytes.length }, (_, end) =>
        input(`cut at ${end}`, place, record.bytes.slice(0, end)),
      ),
    ]),
    draw: (random) => {
      const place = random.below(stored.length);
      const record = stored[place] as Stored;
      return input(...mutate(random, record, random.pick(stored), place));
    },
    show: ({ name, place, bytes }) =>
      JSON.stringify({ name, at: stored[place]?.name, bytes: Buffer.from(bytes).toString("hex") }),
    judge: ({ place, bytes, isOriginal }) => {
      const record = stored[place] as Stored;
      let opened: string | undefined;
      try {
        opened = record.open(bytes);
      } catch (error) {
        if (!(error instanceof DataLoss)) throw error;
      }
      count(tally, opened === undefined ? "DATA_LOSS" : "opened");
      demand(!isOriginal || opened !== undefined, "a record that nobody touched does not open");
      if (opened !== undefined)
        demand(opened === record.plain, "another text was opened than was sealed here");
    },
  };
}

function mutate(random: Random, record: Stored, other: Stored, place: number): [string, number, Uint8Array] {
  const bytes = Buffer.from(record.bytes);
  const at = random.below(bytes.length);
  const cut = random.below(other.bytes.length);
  /** A part of the sealed record, replaced inside the framing. */
  const part = (key: "nonce" | "ciphertext"): [string, number, Uint8Array] => {
    const [mine, theirs] = [Buffer.from(record.sealed[key]), Buffer.from(other.sealed[key])];
    const found = bytes.indexOf(mine);
    const size = Math.min(mine.length, theirs.length);
    theirs.copy(bytes, found, 0, size);
    return [`${key} of ${other.name}`, place, bytes];
  };
  return random.pick<() => [string, number, Uint8Array]>([
    () => [
      "flips",
      place,
      random.list(1, 5, () => random.below(bytes.length * 8)).reduce<Uint8Array>(flip, bytes),
    ],
    () => ["cut", place, bytes.subarray(0, at)],
    () => ["more", place, Buffer.concat([bytes, random.bytes(1 + random.below(40))])],
    () => ["spliced", place, Buffer.concat([bytes.subarray(0, at), other.bytes.slice(cut)])],
    () => ["doubled", place, Buffer.concat([bytes, other.bytes])],
    () => [
      "left out",
      place,
      Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))]),
    ],
    () => ["noise", place, random.bytes(random.below(200))],
    () => part("nonce"),
    () => part("ciphertext"),
    () => {
      bytes.write(other.sealed.keyId, Math.max(0, bytes.indexOf(record.sealed.keyId)));
      return ["another key", place, bytes];
    },
  ])();
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** Every kind, in databases under either key of one ring, in several revisions. No place is sealed twice: either would be right. */
function makeStored(): Stored[] {
  return [0, 1, 0].flatMap((primary, number) => {
    const keys = new Vault(ring);
    keys.usePrimary(keys.keyIds[primary] ?? "");
    const tag = `database-${number}`;
    const vault = new CredentialVault({ vault: keys, databaseId: tag });
    return [
      ...["c1", "c2"].flatMap((id) => [1n, 2n].map((revision) => credentialOf(vault, tag, id, revision))),
      fieldsOf(vault, tag),
      ...[1n, 2n].map((version) => clientSecretOf(vault, tag, version)),
      ...["a", "b"].map((state) => authorizationOf(vault, tag, state)),
      ...["r1", "r2"].map((id) => revocationOf(vault, tag, id)),
      importOf(vault, tag),
    ];
  });
}

function credentialOf(vault: CredentialVault, tag: string, id: string, revision: bigint): Stored {
  const name = `${tag} credential ${id} ${revision}`;
  const holder = aConnection({ id, credentialRevision: revision });
  const credential = {
    accessToken: new Secret(`access of ${name}`),
    refreshToken: new Secret(`refresh of ${name}`),
    tokenType: "Bearer",
    idToken: undefined,
  };
  const kept = vault.sealCredential(holder, revision, credential);
  const open = (bytes: Uint8Array): string => {
    const { accessToken, refreshToken, tokenType } = vault.openCredential(
      holder,
      readable("credential", () => decodeSealedCredential(bytes)),
    );
    return [accessToken.reveal(), refreshToken?.reveal(), tokenType].join("|");
  };
  const plain = `access of ${name}|refresh of ${name}|Bearer`;
  return { name, bytes: encodeSealedCredential(kept), plain, sealed: kept.sealed, open };
}

function fieldsOf(vault: CredentialVault, tag: string): Stored {
  const name = `${tag} fields`;
  const holder = aConnection({ id: "c3", credentialRevision: 1n });
  const kept = vault.sealFields(holder, 1n, { api_key: new Secret(name) });
  const open = (bytes: Uint8Array): string => {
    const fields = vault.openFields(
      holder,
      readable("credential", () => decodeSealedCredential(bytes)),
    );
    return JSON.stringify(Object.entries(fields).map(([key, value]) => [key, value.reveal()]));
  };
  return {
    name,
    bytes: encodeSealedCredential(kept),
    plain: JSON.stringify([["api_key", name]]),
    sealed: kept.sealed,
    open,
  };
}

function clientSecretOf(vault: CredentialVault, tag: string, version: bigint): Stored {
  const name = `${tag} client secret ${version}`;
  const profile = aProfile({ id: "p1", version });
  const kept = vault.sealClientSecret(profile, new Secret(name));
  const open = (bytes: Uint8Array): string => {
    const read = readable("provider profile", () => decodeProvider(bytes));
    // The store finds it by its key, whatever the record says of its own id.
    const place = { ...read, id: profile.id };
    const secret = vault.openClientSecret({ ...place, version: read.version });
    if (secret === undefined) throw new DataLoss("no secret");
    // A whole profile taken from an older copy is that older profile: secret and version belong together, and to nothing else.
    demand(
      secret.reveal() === `${tag} client secret ${read.version}`,
      "a client secret opened in another version",
    );
    return name;
  };
  return { name, bytes: encodeProvider({ ...profile, clientSecret: kept }), plain: name, sealed: kept, open };
}

function authorizationOf(vault: CredentialVault, tag: string, state: string): Stored {
  const name = `${tag} authorization ${state}`;
  const hash = createHash("sha256").update(state).digest("hex");
  const request = pending("c1", { sealed: sealed("none") });
  const secret = {
    codeVerifier: `verifier of ${name}`,
    nonce: `nonce of ${name}`,
    state,
    browserBinding: `cookie of ${name}`,
  };
  const kept = vault.sealAuthorization(hash, request, secret);
  const open = (bytes: Uint8Array): string => {
    const read = readable("authorization", () => decodeAuthorization(bytes));
    const opened = vault.openAuthorization(hash, read);
    demand(read.connectionId === "c1" && read.providerId === "p1", "it opened for another connection");
    demand(read.expiresAtMs === request.expiresAtMs, "it opened with another end");
    return [opened.codeVerifier, opened.nonce, opened.state, opened.browserBinding].join("|");
  };
  const plain = Object.values(secret).join("|");
  return { name, bytes: encodeAuthorization({ ...request, sealed: kept }), plain, sealed: kept, open };
}

function revocationOf(vault: CredentialVault, tag: string, id: string): Stored {
  const name = `${tag} revocation ${id}`;
  const facts = {
    id,
    connectionId: "c1",
    providerId: "p1",
    revision: 1n,
    tokenTypeHint: "refresh_token" as const,
    attempts: 0,
    createdAtMs: nowMs,
    nextAttemptMs: nowMs,
  };
  const kept = vault.sealToken(revocationPlace(facts.id, facts), new Secret(name));
  const open = (bytes: Uint8Array): string => {
    const read = readable("revocation", () => decodeRevocation(bytes));
    return vault.openToken(revocationPlace(id, read), read.sealed).reveal();
  };
  return { name, bytes: encodeRevocation({ ...facts, sealed: kept }), plain: name, sealed: kept, open };
}

function importOf(vault: CredentialVault, tag: string): Stored {
  const name = `${tag} import`;
  const key = "ab".repeat(32);
  const facts = {
    connectionId: "c1",
    providerId: "p1",
    userId: "ada",
    label: "",
    scopes: ["read"],
    principal: { name: "owner" },
    startedAtMs: nowMs,
  };
  const kept = vault.sealToken(importPlace(key, facts), new Secret(name));
  const open = (bytes: Uint8Array): string => {
    const read = readable("import", () => decodeImport(bytes));
    if (!read.sealed) throw new DataLoss("no secret");
    return vault.openToken(importPlace(key, read), read.sealed).reveal();
  };
  return { name, bytes: encodeImport({ ...facts, sealed: kept }), plain: name, sealed: kept, open };
}
