import type { Connection } from "../model/connection.js";
import { mergeMetadata } from "../model/connection_metadata.js";
import type { Credential, TokenSet } from "../model/credential.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Clock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import type { Transaction } from "../store/transaction.js";
import { changeConnection } from "./connection_change.js";
import type { CredentialVault } from "./credential_vault.js";
import { refreshNotBeforeMs } from "./refresh_policy.js";

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
   * Writes `tokenSet` as the next revision of `connection`, which the caller has read in `tx`, and makes it active.
   *
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
    };
    const expiresAtMs = tokenSet.expiresInMs === undefined ? undefined : nowMs + tokenSet.expiresInMs;
    const refreshable = credential.refreshToken !== undefined;
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
        refreshNotBeforeMs:
          refreshable && expiresAtMs !== undefined
            ? refreshNotBeforeMs(nowMs, expiresAtMs, profile.refreshWindowMs, this.#random())
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
    tx.putCredential(connection.id, this.#vault.sealCredential(changed, revision, credential));
    tx.putConnection(changed);
    return changed;
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
}
