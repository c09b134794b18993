import type { Secret } from "../../runtime/secret.js";
import type { Account } from "./account.js";

/** What a provider granted, in the words of RFC 6749 section 5.1. The only place where a refresh token lives. */
export interface Credential {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | undefined;
  readonly tokenType: string;
  readonly idToken: Secret | undefined;
  /** `grantBinding` of the profile that it was obtained with; undefined in those of older stores, which go with the present profile. */
  readonly binding?: string | undefined;
  /** Private key that was proved for it (DPoP): a JWK. The access token is bound to it where `tokenType` shows it. */
  readonly dpopKey?: Secret | undefined;
}

/** RFC 9449 section 7.1. */
export const dpopType = "DPoP";

/** Whether the access token is of no use without a proof of the key. */
export function isBound({ tokenType, dpopKey }: Credential): boolean {
  return tokenType === dpopType && dpopKey !== undefined;
}

/** A token response after every check: what a grant answered, and when. */
export interface TokenSet extends Credential {
  /** Lifetime of the access token; undefined when the provider did not say. */
  readonly expiresInMs: number | undefined;
  /** Granted scopes; undefined when the provider did not say, which means as requested (RFC 6749 section 5.1). */
  readonly scopes: readonly string[] | undefined;
  /** What the request named, where it named its scopes: not so in the refresh of a consent, which goes on with what was granted. */
  readonly requestedScopes?: readonly string[] | undefined;
  /** `sub` of a verified id_token. */
  readonly subject: string | undefined;
  /** Of a verified id_token, and of the user-info endpoint. */
  readonly account?: Account | undefined;
  /** Values of the answer that the profile keeps. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Lifetime of the refresh token or of the whole authorization, whichever ends first; undefined when the provider did not say. */
  readonly refreshExpiresInMs?: number | undefined;
}

/** What a person entered for a static type, judged. */
export interface StaticCredential {
  readonly fields: Readonly<Record<string, Secret>>;
  /** Undefined when the provider was not asked, or did not say. */
  readonly account?: Account | undefined;
}

/** A sealed plaintext, as stored. */
export interface SealedRecord {
  readonly keyId: string;
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** How it was sealed; the vault knows one layout. */
  readonly layout: number;
}

/** A credential as it lies in the store. */
export interface SealedCredential {
  readonly revision: bigint;
  readonly sealed: SealedRecord;
}

/**
 * The place of a sealed record, bound into it: a record that was moved, or taken from an older copy, does not open. Fields that do not
 * apply are empty.
 */
export interface AssociatedData {
  readonly databaseId: string;
  /** What is sealed; each kind has its own layout. */
  readonly kind:
    | "client_secret"
    | "registration"
    | "credential"
    | "authorization"
    | "key_check"
    | "revocation"
    | "import"
    | "client_key"
    | "backup"
    | "egress_ca";
  readonly providerId: string;
  readonly connectionId: string;
  /** What changes whenever the sealed thing is replaced. */
  readonly revision: bigint;
  /** Under which the record lies, where the ids do not say it. */
  readonly recordKey?: string;
}
