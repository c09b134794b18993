import type { PendingAuthorization } from "../model/authorization.js";
import type { Connection } from "../model/connection.js";
import type { TokenSet } from "../model/credential.js";
import { DataLoss } from "../model/errors.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Secret } from "../runtime/secret.js";
import type { Transaction } from "../store/transaction.js";
import { requestOver } from "./consent_outcome.js";
import type { CredentialVault } from "./credential_vault.js";
import type { CredentialWriter } from "./credential_writer.js";

/** Writes what a consent brought. */
export class ConsentWriter {
  readonly #vault: Pick<CredentialVault, "openCredential">;
  readonly #writer: Pick<CredentialWriter, "write">;

  constructor(options: {
    vault: Pick<CredentialVault, "openCredential">;
    writer: Pick<CredentialWriter, "write">;
  }) {
    this.#vault = options.vault;
    this.#writer = options.writer;
  }

  /** The token set becomes the next revision of `connection`, which the caller has read in `tx`. */
  write(
    tx: Transaction,
    connection: Connection,
    pending: PendingAuthorization,
    profile: ProviderProfile,
    tokenSet: TokenSet,
    metadata: Readonly<Record<string, string>>,
  ): Connection {
    const granted = {
      ...connection,
      providerId: profile.id,
      providerName: profile.name,
      requestedScopes: pending.scopes,
      metadata,
      ...requestOver(connection),
    };
    const refreshToken = tokenSet.refreshToken ?? this.#keptRefreshToken(tx, connection, tokenSet);
    return this.#writer.write(tx, granted, profile, { ...tokenSet, refreshToken }, undefined);
  }

  /**
   * Some providers issue a refresh token at the first consent only. The one that is stored stays, when the id_token proves that the
   * same account consented.
   */
  #keptRefreshToken(tx: Transaction, connection: Connection, tokenSet: TokenSet): Secret | undefined {
    if (tokenSet.subject === undefined || tokenSet.subject !== connection.subject) return undefined;
    const stored = tx.getCredential(connection.id);
    try {
      return stored && this.#vault.openCredential(connection, stored).refreshToken;
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }
}
