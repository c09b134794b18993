import { type Connection, hasUsableToken, type Problem } from "../../model/connections/connection.js";
import { isBound, type SealedCredential } from "../../model/credentials/credential.js";
import { dpopStrategy, type Strategy } from "../../model/credentials/strategy.js";
import { DataLoss } from "../../model/errors.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Store } from "../../store/store.js";
import type { CredentialVault } from "./credential_vault.js";

/** A usable credential, as an agent gets it. */
export interface CurrentToken {
  readonly strategy: Strategy;
  /** The fields that the strategy names; never a refresh token. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly expiresAtMs: number | undefined;
  readonly refreshNotBeforeMs: number | undefined;
  readonly grantedScopes: readonly string[];
  readonly revision: bigint;
  /** RFC 6749 section 7.1; undefined for static credentials. */
  readonly tokenType: string | undefined;
  /** The key that the token is bound to (DPoP): for proofs, and never for callers. Undefined where it is not bound. */
  readonly dpopKey: Secret | undefined;
  /** Of the newest answer that had one. */
  readonly idToken: string | undefined;
}

/** A connection and its token, if one is usable now. */
export interface ConnectionView {
  readonly connection: Connection;
  readonly token: CurrentToken | undefined;
  /** The connection's own, or `data_loss` when its credential cannot be opened. */
  readonly problem: Problem | undefined;
}

/** Views kept, and the characters of a credential beyond which it is not kept: some 16 MiB at most. */
const maxViews = 1_024;
const maxCredentialChars = 16_384;

/**
 * Connections whose token was opened lately, tokens in clear, so that an agent that asks again costs no read and no decryption. One is
 * dropped as soon as its connection changes in any way (refresh, revocation, deletion), which the store announces when it is durable. All
 * are dropped when a provider profile changes, and the least recently used one when there are too many.
 */
export class TokenCache {
  readonly #views: BoundedMap<string, ConnectionView>;

  /** @param limit views at most */
  constructor(
    changes: Changes,
    private readonly limit: number = maxViews,
  ) {
    this.#views = new BoundedMap(limit);
    changes.on("connections", (changed) => {
      for (const { connectionId } of changed) this.#views.delete(connectionId);
    });
    // The profile says how a token is applied.
    changes.on("provider", () => this.#views.clear());
  }

  get size(): number {
    return this.#views.size;
  }

  get hasRoom(): boolean {
    return this.#views.size < this.limit;
  }

  get(connectionId: string): ConnectionView | undefined {
    return this.#views.get(connectionId);
  }

  put(view: ConnectionView): void {
    if (view.token === undefined || charsOf(view.token.credentials) > maxCredentialChars) return;
    this.#views.set(view.connection.id, view);
  }
}

function charsOf(credentials: Readonly<Record<string, string>>): number {
  let chars = 0;
  for (const value of Object.values(credentials)) chars += value.length;
  return chars;
}

export interface CredentialReaderDeps {
  readonly store: Pick<Store, "getConnection" | "getCredential" | "getProvider">;
  readonly vault: CredentialVault;
  readonly clock: Clock;
  /** None by default: each read opens its credential. */
  readonly cache?: TokenCache;
}

/**
 * Reads a connection with its token in clear. Nothing is awaited between reading and opening: what it returns is one
 * committed state.
 */
export class CredentialReader {
  constructor(private readonly deps: CredentialReaderDeps) {}

  /** The cached view while its token is usable: the same object until its connection or provider changes. Reads nothing from the store. */
  cached(connectionId: string): ConnectionView | undefined {
    const view = this.deps.cache?.get(connectionId);
    return view && hasUsableToken(view.connection, this.deps.clock.nowMs()) ? view : undefined;
  }

  /** Undefined when there is no such connection. A credential that cannot be opened is a problem of the view, not an error. */
  view(connectionId: string): ConnectionView | undefined {
    const cached = this.cached(connectionId);
    if (cached) return cached;
    const connection = this.deps.store.getConnection(connectionId);
    const view = connection && this.viewOf(connection);
    if (view?.token) this.deps.cache?.put(view);
    return view;
  }

  /**
   * As `view`, for a caller that reads many in a row. Credentials that are not wanted stay sealed, and entries that are read more often
   * stay in the cache.
   */
  viewIf(connectionId: string, isWanted: (connection: Connection) => boolean): ConnectionView | undefined {
    const { store, cache } = this.deps;
    const cached = this.cached(connectionId);
    const connection = cached?.connection ?? store.getConnection(connectionId);
    if (!connection || !isWanted(connection)) return undefined;
    const view = cached ?? this.viewOf(connection);
    if (!cached && view.token && cache?.hasRoom) cache.put(view);
    return view;
  }

  viewOf(connection: Connection): ConnectionView {
    const nowMs = this.deps.clock.nowMs();
    if (!hasUsableToken(connection, nowMs))
      return { connection, token: undefined, problem: connection.problem };
    try {
      const token = this.#open(connection);
      return { connection, token: isEmpty(token) ? undefined : token, problem: connection.problem };
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      const problem: Problem = { reason: "data_loss", sinceMs: nowMs, retryAtMs: undefined };
      return { connection, token: undefined, problem };
    }
  }

  #open(connection: Connection): CurrentToken {
    const stored = this.deps.store.getCredential(connection.id);
    if (!stored) throw new DataLoss("the credential of an active connection is missing");
    const profile = unlessUnreadable(() => this.deps.store.getProvider(connection.providerId));
    const strategy = profile?.strategy ?? connection.strategy;
    return {
      ...this.#reveal(connection, stored, strategy),
      expiresAtMs: connection.expiresAtMs,
      refreshNotBeforeMs: connection.refreshable ? connection.refreshNotBeforeMs : undefined,
      grantedScopes: connection.grantedScopes,
      revision: connection.credentialRevision,
    };
  }

  #reveal(connection: Connection, stored: SealedCredential, strategy: Strategy) {
    if (strategy.kind === "oauth2") {
      const opened = this.deps.vault.openCredential(connection, stored);
      const { accessToken, tokenType, idToken } = opened;
      const credentials = { [strategy.credentialField]: accessToken.reveal() };
      const token = { credentials, tokenType, idToken: idToken?.reveal() };
      if (!isBound(opened)) return { ...token, strategy, dpopKey: undefined };
      return { ...token, strategy: dpopStrategy(strategy.credentialField), dpopKey: opened.dpopKey };
    }
    const fields = Object.entries(this.deps.vault.openFields(connection, stored));
    const credentials = Object.fromEntries(fields.map(([name, value]) => [name, value.reveal()]));
    return { strategy, credentials, tokenType: undefined, idToken: undefined, dpopKey: undefined };
  }
}

/** Of an id_token that was imported alone: nothing that a request could carry. */
function isEmpty({ credentials, tokenType }: CurrentToken): boolean {
  return tokenType !== undefined && Object.values(credentials).every((value) => value === "");
}
