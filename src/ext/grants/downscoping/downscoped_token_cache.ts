import type { CurrentToken } from "../../../domain/connections/connections.js";
import { BoundedMap, type Changes } from "../../../runtime/runtime.js";
import type { Actor } from "../token_exchange.js";

/** What a downscoped token was made of, and for whom. */
export interface DownscopedKey {
  readonly connectionId: string;
  /** Of the credential that was its subject. */
  readonly revision: bigint;
  /** Of the profile. */
  readonly version: bigint;
  /** The caller. */
  readonly actor: Actor;
  readonly audience: string;
  readonly resource: string;
  readonly scopes: readonly string[];
}

interface CachedToken {
  readonly key: string;
  readonly connectionId: string;
  readonly token: CurrentToken;
  readonly issuedAtMs: number;
  /** It is served until then. */
  readonly freshUntilMs: number;
}

/** Tokens kept: some 16 MiB at most, of the 16 KiB that a token may have to be kept. */
const maxTokens = 1_024;
const maxTokenChars = 16_384;
/** A token whose end is unknown is good for so long: a provider that wants it back ends it at its side. */
const unknownLifetimeMs = 5 * 60_000;
/** A token is made again so long before its end, or a fifth of its lifetime if that is less. */
const maxWindowMs = 5 * 60_000;

/** One text for one target, in whatever order its scopes are named. */
export function keyText(key: DownscopedKey): string {
  const { connectionId, revision, version, actor, audience, resource, scopes } = key;
  const parts = [connectionId, String(revision), String(version), actor, audience, resource];
  return JSON.stringify([...parts, ...[...scopes].sort()]);
}

/**
 * Downscoped tokens in clear, for callers that ask again. Those of a connection are dropped when it changes in any way: refreshed, revoked,
 * deleted.
 */
export class DownscopedTokenCache {
  readonly #entries: BoundedMap<string, CachedToken>;
  readonly #keys = new Map<string, Set<string>>();

  /** @param limit tokens at most */
  constructor(changes: Changes, limit: number = maxTokens) {
    this.#entries = new BoundedMap(limit);
    changes.on("connections", (changed) => {
      for (const { connectionId } of changed) this.#drop(connectionId);
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param minTtlMs wished remaining lifetime; cut to what a new token has before its window */
  get(key: string, minTtlMs: number, nowMs: number): CurrentToken | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || nowMs >= entry.freshUntilMs || nowMs < entry.issuedAtMs) return undefined;
    const { expiresAtMs } = entry.token;
    if (expiresAtMs === undefined) return entry.token;
    const obtainableMs = entry.freshUntilMs - entry.issuedAtMs;
    return expiresAtMs - nowMs >= Math.min(minTtlMs, obtainableMs) ? entry.token : undefined;
  }

  put(key: string, connectionId: string, token: CurrentToken, nowMs: number): void {
    const chars = Object.values(token.credentials).reduce((sum, value) => sum + value.length, 0);
    if (chars > maxTokenChars) return;
    const lifetimeMs = (token.expiresAtMs ?? nowMs + unknownLifetimeMs) - nowMs;
    const freshUntilMs = nowMs + lifetimeMs - Math.min(maxWindowMs, lifetimeMs / 5);
    const removed = this.#entries.set(key, { key, connectionId, token, issuedAtMs: nowMs, freshUntilMs });
    if (removed !== undefined) this.#forget(removed);
    const keys = this.#keys.get(connectionId) ?? new Set();
    this.#keys.set(connectionId, keys.add(key));
  }

  #drop(connectionId: string): void {
    for (const key of this.#keys.get(connectionId) ?? []) this.#entries.delete(key);
    this.#keys.delete(connectionId);
  }

  #forget({ connectionId, key }: CachedToken): void {
    const keys = this.#keys.get(connectionId);
    keys?.delete(key);
    if (keys?.size === 0) this.#keys.delete(connectionId);
  }
}
