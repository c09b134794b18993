import type { Role } from "./access_table.js";
import type { Restriction } from "./scope_restriction.js";

/** An API key as it is stored: never the key itself. */
export interface ApiKeyRecord {
  /** Public part of the key. */
  readonly id: string;
  /** Unique for good, also after it is revoked. */
  readonly name: string;
  /** SHA-256 of the whole key, 32 bytes. */
  readonly digest: Uint8Array;
  /** The one before the last rotation, and how long it works. */
  readonly old: { readonly digest: Uint8Array; readonly untilMs: number } | undefined;
  readonly role: Role;
  /** Present for an agent, and for nobody else. */
  readonly restriction: Restriction | undefined;
  readonly createdAtMs: number;
  /** Name of a principal. */
  readonly createdBy: string;
  readonly expiresAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  readonly revokedBy: string | undefined;
  /** To the hour. */
  readonly lastUsedAtMs: number | undefined;
}

/** Name of the principal that a key stands for. */
export function keyPrincipalName(keyName: string): string {
  return `key:${keyName}`;
}

/** Keys in one store, revoked ones included: each is some 300 bytes in memory. */
export const maxApiKeys = 10_000;
