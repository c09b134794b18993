import type { PendingAuthorization } from "../model/authorization.js";
import type { Connection } from "../model/connection.js";
import { callbackMetadata } from "../model/connection_metadata.js";
import type { SealedCredential, TokenSet } from "../model/credential.js";
import { DataLoss } from "../model/errors.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Clock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import type { Store } from "../store/store.js";
import type { Transaction } from "../store/transaction.js";
import { requestOver } from "./consent_outcome.js";
import type { CredentialVault } from "./credential_vault.js";
import type { Composed, CredentialWriter } from "./credential_writer.js";
import type { TokenRescue } from "./token_rescue.js";

/** What a code was exchanged for, and whose. */
export interface Consented {
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  /** Of the authorization response. */
  readonly params: URLSearchParams;
  readonly tokenSet: TokenSet;
}

export interface ConsentedTokensOptions {
  readonly store: Pick<Store, "getConnection" | "getCredential">;
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  /** Holds a token set until it is durable. */
  readonly rescue: Pick<TokenRescue, "hold" | "release">;
  readonly clock: Clock;
}

/** From a consent that was given to the next revision of its connection. */
export class ConsentedTokens {
  readonly #parts: ConsentedTokensOptions;

  constructor(options: ConsentedTokensOptions) {
    this.#parts = options;
  }

  /** Holds the token set for rescue until `release`, and answers what writes it to its connection as `tx` reads that. */
  hold(consented: Consented): (tx: Transaction, connection: Connection) => Connection {
    const { store, writer, rescue, clock } = this.#parts;
    const receivedAtMs = clock.nowMs();
    const { connectionId } = consented.pending;
    const connection = store.getConnection(connectionId);
    const stored = store.getCredential(connectionId);
    if (connection && connection.status !== "revoked") {
      rescue.hold(connectionId, () => ({
        grant: "consent",
        ...this.#compose(consented, connection, stored, receivedAtMs),
      }));
    }
    return (tx, current) =>
      writer.put(tx, this.#compose(consented, current, tx.getCredential(current.id), receivedAtMs));
  }

  release(connectionId: string): void {
    this.#parts.rescue.release(connectionId);
  }

  #compose(
    { pending, profile, params, tokenSet }: Consented,
    connection: Connection,
    stored: SealedCredential | undefined,
    receivedAtMs: number,
  ): Composed {
    const granted = {
      ...connection,
      providerId: profile.id,
      providerName: profile.name,
      requestedScopes: pending.scopes,
      metadata: callbackMetadata(params, profile.oauth2.callbackMetadata),
      ...requestOver(connection),
    };
    const refreshToken = tokenSet.refreshToken ?? this.#keptRefreshToken(connection, stored, tokenSet);
    const { writer } = this.#parts;
    return writer.compose(granted, profile, { ...tokenSet, refreshToken }, undefined, receivedAtMs);
  }

  /**
   * Some providers issue a refresh token at the first consent only. The one that is stored stays, when the id_token proves that the
   * same account consented.
   */
  #keptRefreshToken(
    connection: Connection,
    stored: SealedCredential | undefined,
    tokenSet: TokenSet,
  ): Secret | undefined {
    if (tokenSet.subject === undefined || tokenSet.subject !== connection.subject) return undefined;
    try {
      return stored && this.#parts.vault.openCredential(connection, stored).refreshToken;
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }
}
