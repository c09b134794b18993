import type { SealedRecord } from "../credentials/credential.js";

/** To which credential a token belonged. */
export interface RevokedPlace {
  readonly connectionId: string;
  readonly providerId: string;
  readonly revision: bigint;
  /** `grantBinding` of the profile that it was obtained with; undefined when that is not known. */
  readonly binding?: string | undefined;
}

export interface DueRevocation {
  readonly id: string;
  readonly providerId: string;
  readonly nextAttemptMs: number;
}

/** A token that is to be revoked at its provider (RFC 7009). Its connection may be gone. */
export interface PendingRevocation extends RevokedPlace, DueRevocation {
  /** RFC 7009 section 2.1. */
  readonly tokenTypeHint: TokenTypeHint;
  /** Attempts that failed. */
  readonly attempts: number;
  readonly createdAtMs: number;
  readonly sealed: SealedRecord;
  /** When the token dies; undefined when that is not known, as of refresh tokens. */
  readonly tokenExpiresAtMs?: number | undefined;
}

export const tokenTypeHints = ["refresh_token", "access_token"] as const;
export type TokenTypeHint = (typeof tokenTypeHints)[number];

/**
 * Whether the grant of an ended connection was revoked at the provider. `not_needed`: there was nothing to revoke, or the token died first;
 * `pending`: it will be; `done`: it was; `not_possible`: it cannot be.
 */
export const providerRevocations = ["not_needed", "pending", "done", "not_possible"] as const;
export type ProviderRevocation = (typeof providerRevocations)[number];
