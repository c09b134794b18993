import type { Connection } from "../model/connection.js";
import { mergeMetadata } from "../model/connection_metadata.js";
import type { Credential, TokenSet } from "../model/credential.js";
import { grantBinding } from "../model/grant_binding.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import { jwtExpiryMs } from "../oauth/access_token.js";
import type { Clock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import type { Transaction } from "../store/transaction.js";
import { changeConnection } from "./connection_change.js";
import type { CredentialVault } from "./credential_vault.js";
import { movedGrant } from "./moved_grants.js";
import { keepAliveMs, refreshNotBeforeMs } from "./refresh_policy.js";

/** The single way from a token response into the store. */
export class CredentialWriter {
  readonly #vault: CredentialVault;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(options: { vault: CredentialVault; clock: Clock; random: () => number }) {
    this.#vault = options.vault;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /**
   * Writes `tokenSet` as the next revision of `connection`, which the caller has read in `tx`, and makes it active; it waits for consent
   * instead when the profile was led elsewhere while the request was under way.
   *
   * @param profile as it was when the request was sent
   * @param previous the credential that was redeemed: its refresh token stays when the answer has none (RFC 6749 section 6)
   */
  write(
    tx: Transaction,
    connection: Connection,
    profile: ProviderProfile,
    tokenSet: TokenSet,
    previous: Credential | undefined,
  ): Connection {
    const nowMs = this.#clock.nowMs();
    const revision = connection.credentialRevision + 1n;
    const credential: Credential = {
      accessToken: tokenSet.accessToken,
      refreshToken: tokenSet.refreshToken ?? previous?.refreshToken,
      tokenType: tokenSet.tokenType,
      idToken: tokenSet.idToken ?? previous?.idToken,
      binding: grantBinding(profile),
    };
    const expiresAtMs =
      tokenSet.expiresInMs === undefined
        ? jwtExpiryMs(tokenSet.accessToken.reveal(), nowMs)
        : nowMs + tokenSet.expiresInMs;
    const refreshable = credential.refreshToken !== undefined;
    const refreshExpiresAtMs = refreshable ? refreshEndMs(connection, tokenSet, previous, nowMs) : undefined;
    const granted = tokenSet.scopes ?? (previous ? connection.grantedScopes : connection.requestedScopes);
    const changed = changeConnection(
      connection,
      {
        status: "active",
        credentialRevision: revision,
        grantedScopes: granted,
        issuedAtMs: nowMs,
        expiresAtMs,
        refreshable,
        refreshExpiresAtMs,
        refreshNotBeforeMs: refreshable
          ? this.#refreshDueMs(nowMs, expiresAtMs, refreshExpiresAtMs, profile)
          : undefined,
        problem: undefined,
        failedRefreshes: 0,
        refreshIntent: undefined,
        subject: tokenSet.subject ?? connection.subject,
        strategy: profile.strategy,
        metadata: mergeMetadata(connection.metadata, tokenSet.metadata ?? {}),
      },
      nowMs,
    );
    const present = tx.getProvider(profile.id);
    const isMoved = present !== undefined && grantBinding(present) !== grantBinding(profile);
    const stored = isMoved
      ? changeConnection(changed, movedGrant(changed, grantBinding(profile), nowMs), nowMs)
      : changed;
    tx.putCredential(connection.id, this.#vault.sealCredential(stored, revision, credential));
    tx.putConnection(stored);
    return stored;
  }

  /** Writes the fields of a static type as the next revision of `connection`, which the caller has read in `tx`. */
  writeFields(
    tx: Transaction,
    connection: Connection,
    profile: ProviderProfile,
    fields: Readonly<Record<string, Secret>>,
  ): Connection {
    const nowMs = this.#clock.nowMs();
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
      },
      nowMs,
    );
    tx.putCredential(connection.id, this.#vault.sealFields(changed, revision, fields));
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
    const random = this.#random();
    const { refreshWindowMs } = profile;
    const { defaultLifetimeMs } = profile.oauth2;
    // A lifetime that is only assumed times the refresh; it never makes a token look dead.
    const assumedMs =
      expiresAtMs ?? (defaultLifetimeMs === undefined ? undefined : nowMs + defaultLifetimeMs);
    const times: number[] = [];
    if (assumedMs !== undefined) times.push(refreshNotBeforeMs(nowMs, assumedMs, refreshWindowMs, random));
    if (refreshExpiresAtMs !== undefined) times.push(keepAliveMs(nowMs, refreshExpiresAtMs, random));
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

/** An answer that says nothing of it leaves the end that was known, also over a rotation: too early does no harm. */
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
