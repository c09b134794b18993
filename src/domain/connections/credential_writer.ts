import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { mergedAccount } from "../../model/credentials/account.js";
import type {
  Credential,
  SealedCredential,
  StaticCredential,
  TokenSet,
} from "../../model/credentials/credential.js";
import { mergeMetadata } from "../../model/providers/connection_metadata.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { keepAliveMs, refreshNotBeforeMs } from "../../model/refresh/refresh_policy.js";
import { jwtExpiryMs } from "../../oauth/jwt.js";
import type { Clock } from "../../runtime/clock.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection, type TokenChange } from "./connection_change.js";
import type { CredentialVault } from "./credential_vault.js";
import { movedGrant } from "./grant_rebinding.js";

/** The next revision of a connection and its credential, ready to be written. */
export interface Composed {
  /** As it was when the request was sent. */
  readonly profile: ProviderProfile;
  readonly connection: Connection;
  readonly credential: SealedCredential;
}

/** A token set, and what it came for. */
export interface ReceivedTokenSet {
  /** Whose next revision it becomes. */
  readonly connection: Connection;
  /** As it was when the request was sent. */
  readonly profile: ProviderProfile;
  readonly tokenSet: TokenSet;
  /** The credential that was redeemed: its refresh token stays when the answer has none (RFC 6749 section 6). Undefined if none was. */
  readonly previous?: Credential | undefined;
  /** When the answer came: its lifetimes count from there. */
  readonly receivedAtMs: number;
}

/** Makes a token response the next revision of a connection. */
export class CredentialWriter {
  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly clock: Clock;
      readonly random: () => number;
    },
  ) {}

  /**
   * Writes a token set as the next revision of its connection, which the caller has read in `tx`, and makes it active. If the profile was
   * moved to another server or client during the request, the connection waits for consent instead.
   */
  write(tx: Transaction, received: ReceivedTokenSet): Connection {
    return this.put(tx, this.compose(received));
  }

  put(tx: Transaction, { profile, connection, credential }: Composed): Connection {
    const present = tx.getProvider(profile.id);
    const isMoved = present !== undefined && grantBinding(present) !== grantBinding(profile);
    const nowMs = this.deps.clock.nowMs();
    const stored = isMoved
      ? changeConnection(connection, movedGrant(present, connection, grantBinding(profile), nowMs), nowMs)
      : connection;
    tx.putCredential(stored.id, credential);
    tx.putConnection(stored);
    return stored;
  }

  /** What `write` writes. */
  compose({ connection, profile, tokenSet, previous, receivedAtMs }: ReceivedTokenSet): Composed {
    const nowMs = this.deps.clock.nowMs();
    const revision = connection.credentialRevision + 1n;
    const credential: Credential = {
      accessToken: tokenSet.accessToken,
      refreshToken: tokenSet.refreshToken ?? previous?.refreshToken,
      tokenType: tokenSet.tokenType,
      idToken: tokenSet.idToken ?? previous?.idToken,
      binding: grantBinding(profile),
      dpopKey: tokenSet.dpopKey ?? previous?.dpopKey,
    };
    const knownMs = previous && lifetimeMs(connection);
    const assumedMs = knownMs === undefined ? undefined : receivedAtMs + knownMs;
    const expiresAtMs = tokenEndMs(tokenSet, profile, receivedAtMs) ?? assumedMs;
    const refreshable = credential.refreshToken !== undefined || isUnattended(profile);
    const refreshExpiresAtMs = refreshable
      ? refreshEndMs(connection, tokenSet, previous, receivedAtMs)
      : undefined;
    const { requestedScopes } = tokenSet;
    const granted =
      tokenSet.scopes ??
      requestedScopes ??
      (previous ? connection.grantedScopes : connection.requestedScopes);
    const change: TokenChange = {
      status: "active",
      credentialRevision: revision,
      grantedScopes: granted,
      consentedScopes: requestedScopes ?? connection.consentedScopes,
      issuedAtMs: receivedAtMs,
      expiresAtMs,
      refreshable,
      refreshExpiresAtMs,
      refreshNotBeforeMs: refreshable
        ? this.#refreshDueMs(receivedAtMs, expiresAtMs, refreshExpiresAtMs, profile)
        : undefined,
      problem: undefined,
      failedRefreshes: 0,
      refreshIntent: undefined,
      subject: tokenSet.subject ?? connection.subject,
      account: accountAfter(connection, tokenSet, previous),
      stepUp: connection.stepUp,
      strategy: profile.strategy,
      metadata: mergeMetadata(connection.metadata, tokenSet.metadata ?? {}),
    };
    const changed = changeConnection(connection, change, nowMs);
    return {
      profile,
      connection: changed,
      credential: this.deps.vault.sealCredential(changed, revision, credential),
    };
  }

  /**
   * The next revision with a token set that must not be served: its refresh token beside the access token that was there.
   *
   * @param change what becomes of the connection
   */
  composeUnserved(
    {
      connection,
      profile,
      tokenSet,
      previous,
      receivedAtMs,
    }: ReceivedTokenSet & { readonly previous: Credential },
    change: Partial<TokenChange>,
  ): Composed {
    const revision = connection.credentialRevision + 1n;
    const refreshToken = tokenSet.refreshToken ?? previous.refreshToken;
    const dpopKey = tokenSet.dpopKey ?? previous.dpopKey;
    const credential: Credential = { ...previous, refreshToken, binding: grantBinding(profile), dpopKey };
    const refreshExpiresAtMs = refreshEndMs(connection, tokenSet, previous, receivedAtMs);
    const changed = changeConnection(
      connection,
      { credentialRevision: revision, refreshExpiresAtMs, ...change },
      this.deps.clock.nowMs(),
    );
    return {
      profile,
      connection: changed,
      credential: this.deps.vault.sealCredential(changed, revision, credential),
    };
  }

  /** Writes the fields of a static type as the next revision of `connection`, which the caller has read in `tx`. */
  writeFields(
    tx: Transaction,
    connection: Connection,
    profile: ProviderProfile,
    { fields, account }: StaticCredential,
  ): Connection {
    const nowMs = this.deps.clock.nowMs();
    const revision = connection.credentialRevision + 1n;
    const changed = changeConnection(
      connection,
      {
        status: "active",
        credentialRevision: revision,
        grantedScopes: [],
        issuedAtMs: nowMs,
        expiresAtMs: undefined,
        refreshable: false,
        refreshNotBeforeMs: undefined,
        problem: undefined,
        failedRefreshes: 0,
        refreshIntent: undefined,
        strategy: profile.strategy,
        account,
      },
      nowMs,
    );
    tx.putCredential(connection.id, this.deps.vault.sealFields(changed, revision, fields));
    tx.putConnection(changed);
    return changed;
  }

  /** What comes first: the window of the access token, or the last time at which the refresh token should be used. */
  #refreshDueMs(
    nowMs: number,
    expiresAtMs: number | undefined,
    refreshExpiresAtMs: number | undefined,
    profile: ProviderProfile,
  ): number | undefined {
    const random = this.deps.random();
    const times: number[] = [];
    if (expiresAtMs !== undefined) {
      times.push(refreshNotBeforeMs(nowMs, expiresAtMs, profile.refreshWindowMs, random));
    }
    if (refreshExpiresAtMs !== undefined) times.push(keepAliveMs(nowMs, refreshExpiresAtMs, random));
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

/** What the answer says, else what the token says of itself, else what the profile declares; undefined means used until it fails. */
function tokenEndMs(tokenSet: TokenSet, profile: ProviderProfile, receivedAtMs: number): number | undefined {
  const { expiresInMs, accessToken } = tokenSet;
  if (expiresInMs !== undefined) return receivedAtMs + expiresInMs;
  const { defaultLifetimeMs } = profile.oauth2;
  const declaredMs = defaultLifetimeMs === undefined ? undefined : receivedAtMs + defaultLifetimeMs;
  return jwtExpiryMs(accessToken.reveal(), receivedAtMs) ?? declaredMs;
}

/** How long the token before lives: a refresh that names no lifetime (RFC 6749 section 5.1) brings one that lives as long. */
function lifetimeMs({ issuedAtMs, expiresAtMs }: Connection): number | undefined {
  if (issuedAtMs === undefined || expiresAtMs === undefined || expiresAtMs <= issuedAtMs) return undefined;
  return expiresAtMs - issuedAtMs;
}

/** A refresh says more of the same account, or nothing; a consent starts again. */
function accountAfter(
  connection: Connection,
  { account }: TokenSet,
  previous: Credential | undefined,
): Connection["account"] {
  if (!previous || !account) return previous ? connection.account : account;
  return mergedAccount(connection.account, account);
}

/** An answer without a lifetime leaves the end as it was, also over a rotation: an end that is too early does no harm. */
function refreshEndMs(
  connection: Connection,
  tokenSet: TokenSet,
  previous: Credential | undefined,
  nowMs: number,
): number | undefined {
  if (tokenSet.refreshExpiresInMs !== undefined) return nowMs + tokenSet.refreshExpiresInMs;
  const knownMs = previous ? connection.refreshExpiresAtMs : undefined;
  return knownMs !== undefined && knownMs > nowMs ? knownMs : undefined;
}
