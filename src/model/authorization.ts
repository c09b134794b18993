import type { SealedRecord } from "./credential.js";

/** A request for consent that a person has not answered yet. Its key is the SHA-256 of `state`. */
export interface PendingAuthorization {
  readonly connectionId: string;
  readonly providerId: string;
  /** Version of the profile when it was requested: an edit in between ends the request. */
  readonly providerVersion: bigint;
  readonly scopes: readonly string[];
  readonly returnUrl: string | undefined;
  readonly redirectUri: string;
  readonly expiresAtMs: number;
  readonly sealed: SealedRecord;
  /** Name of the principal that asked; undefined in records of older releases. */
  readonly principal?: string | undefined;
}

/** How long a person has to consent. */
export const authorizationLifetimeMs = 10 * 60_000;
