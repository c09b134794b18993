import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import type { SealedCredential, TokenSet } from "../../model/credentials/credential.js";
import { DataLoss } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Secret } from "../../runtime/secret.js";
import type { Transaction } from "../../store/transaction.js";
import { consentGiven } from "../connections/state/connection_change.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { Composed, CredentialWriter } from "../credentials/credential_writer.js";

/** What a code was exchanged for, and whose. */
export interface Consented {
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  readonly tokenSet: TokenSet;
  /** Of the authorization response. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** From a consent that was given to the next revision of its connection. */
export class ConsentWriter {
  readonly #vault: CredentialVault;
  readonly #writer: CredentialWriter;

  constructor(options: {
    vault: CredentialVault;
    writer: CredentialWriter;
  }) {
    this.#vault = options.vault;
    this.#writer = options.writer;
  }

  /** The token set becomes the next revision of `connection`, which the caller has read in `tx`. */
  write(tx: Transaction, connection: Connection, consented: Consented, receivedAtMs: number): Connection {
    const stored = tx.getCredential(connection.id);
    return this.#writer.put(tx, this.compose(connection, stored, consented, receivedAtMs));
  }

  /** What `write` writes. @param receivedAtMs when the token set came: its lifetimes count from there */
  compose(
    connection: Connection,
    stored: SealedCredential | undefined,
    { pending, profile, tokenSet, metadata }: Consented,
    receivedAtMs: number,
  ): Composed {
    const granted = consentGiven(connection, {
      providerId: profile.id,
      providerName: profile.name,
      requestedScopes: pending.scopes,
      consentedScopes: pending.scopes,
      metadata,
    });
    const refreshToken =
      tokenSet.refreshToken ?? this.#keptRefreshToken(connection, stored, profile, tokenSet);
    return this.#writer.compose(granted, profile, { ...tokenSet, refreshToken }, undefined, receivedAtMs);
  }

  /**
   * Some providers issue a refresh token at the first consent only. The one that is stored stays, when the id_token proves that the
   * same account consented, and it belongs to whom the profile names now.
   */
  #keptRefreshToken(
    connection: Connection,
    stored: SealedCredential | undefined,
    profile: ProviderProfile,
    tokenSet: TokenSet,
  ): Secret | undefined {
    if (tokenSet.subject === undefined || tokenSet.subject !== connection.subject) return undefined;
    if (connection.problem?.movedFrom !== undefined) return undefined;
    try {
      const credential = stored && this.#vault.openCredential(connection, stored);
      const isOurs = credential?.binding === undefined || credential.binding === grantBinding(profile);
      // It may be bound to its key, and the credential has room for one.
      const isKeyLost = credential?.dpopKey?.reveal() !== tokenSet.dpopKey?.reveal();
      if (credential?.dpopKey && isKeyLost) return undefined;
      return isOurs ? credential?.refreshToken : undefined;
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }
}
