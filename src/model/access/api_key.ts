import { Unauthenticated } from "../errors.js";
import type { Role } from "./access_table.js";
import { daemon } from "./principal.js";
import type { Restriction } from "./scope_restriction.js";
import type { UseLimit } from "./use_limit.js";

export interface KeyLease {
  /** Of a renewal. */
  readonly durationMs: number;
  /** Not after the end of the key. */
  readonly endsAtMs: number;
}

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
  /** It ends unless its holder renews it in time. */
  readonly lease: KeyLease | undefined;
  /** How often it obtains a credential. */
  readonly uses?: UseLimit | undefined;
  readonly revokedAtMs: number | undefined;
  readonly revokedBy: string | undefined;
  /** To the hour. */
  readonly lastUsedAtMs: number | undefined;
}

export function isLive({ revokedAtMs, expiresAtMs, lease }: ApiKeyRecord, nowMs: number): boolean {
  if (revokedAtMs !== undefined) return false;
  return (
    nowMs < Math.min(expiresAtMs ?? Number.POSITIVE_INFINITY, lease?.endsAtMs ?? Number.POSITIVE_INFINITY)
  );
}

/** Of a revoked key. */
export function howEnded({ revokedBy }: ApiKeyRecord): string {
  return revokedBy === daemon.name ? "has ended: its lease was not renewed in time" : "is revoked";
}

/** For the holder of a key, or of another credential, that was valid. */
export function ended(record?: ApiKeyRecord): Unauthenticated {
  return new Unauthenticated(
    record?.revokedBy === daemon.name
      ? `the API key of this caller ${howEnded(record)}; ask for a new key`
      : "the credential of this caller is not valid any more",
  );
}

/** The lease of a key that is made or renewed now. */
export function leaseFrom(
  nowMs: number,
  durationMs: number,
  expiresAtMs = Number.POSITIVE_INFINITY,
): KeyLease {
  return { durationMs, endsAtMs: Math.min(nowMs + durationMs, expiresAtMs) };
}

/** The agent that a key was granted to, by its name; undefined of a key that is no grant. */
export function agentOfGrant(name: string): string | undefined {
  return /^([a-z0-9][a-z0-9_-]*)\.[a-z0-9-]+\.[0-9a-f]{6}$/.exec(name)?.[1];
}

/** Name of the principal that a key stands for. */
export function keyPrincipalName(keyName: string): string {
  return `key:${keyName}`;
}

/** Begins the names of keys as principals. */
export const keyPrefix = keyPrincipalName("");

/** The agent that a principal is: all grants of an agent are the agent. Any other principal is one by its own name. */
export function agentOf(principalName: string): string {
  const isKey = principalName.startsWith(keyPrefix);
  const agent = isKey ? agentOfGrant(principalName.slice(keyPrefix.length)) : undefined;
  return agent === undefined ? principalName : keyPrincipalName(agent);
}

/** Keys in one store, revoked ones included: each is some 300 bytes in memory. */
export const maxApiKeys = 10_000;
