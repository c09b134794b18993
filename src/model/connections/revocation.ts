import type { SealedRecord } from "../credentials/credential.js";

/** A token that is to be revoked at its provider (RFC 7009). Its connection may be gone. */
export interface PendingRevocation {
  readonly id: string;
  readonly connectionId: string;
  readonly providerId: string;
  /** Revision of the credential that it was part of. */
  readonly revision: bigint;
  /** RFC 7009 section 2.1. */
  readonly tokenTypeHint: TokenTypeHint;
  /** Attempts that failed. */
  readonly attempts: number;
  readonly createdAtMs: number;
  readonly nextAttemptMs: number;
  readonly sealed: SealedRecord;
  /** `grantBinding` of the profile that the token was obtained with; undefined in those of older stores. */
  readonly binding?: string | undefined;
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
