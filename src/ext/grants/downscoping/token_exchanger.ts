import type { CredentialVault } from "../../../domain/credentials/credential_vault.js";
import {
  ConcurrencyClosed,
  ConcurrencyCrowded,
} from "../../../domain/refresh/limits/provider_concurrency.js";
import type { RefreshEngine } from "../../../domain/refresh/refresh_engine.js";
import type { IssuerMetadata } from "../../../domain/token_endpoint/issuer_metadata.js";
import {
  GrantMoved,
  type TokenEndpointClient,
} from "../../../domain/token_endpoint/token_endpoint_client.js";
import type { Connection } from "../../../model/connections/connection.js";
import { isBound, type TokenSet } from "../../../model/credentials/credential.js";
import { DataLoss, FailedPrecondition, NotLeader, Unavailable } from "../../../model/errors.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { GrantFailure } from "../../../oauth/failure.js";
import type { Store } from "../../../store/store.js";
import { exchangeError } from "./exchange_errors.js";
import type { Narrowing } from "./token_target.js";

export interface TokenExchangerDeps {
  readonly store: Pick<Store, "getCredential">;
  readonly vault: CredentialVault;
  readonly servers: Pick<IssuerMetadata, "resolve">;
  readonly grants: Pick<TokenEndpointClient, "narrow">;
  readonly engine: Pick<RefreshEngine, "admit">;
  /** Of a hub: whether it acts itself. */
  readonly fleet?: { readonly leads: boolean } | undefined;
}

/** Asks providers for narrower tokens, within their limits. The grant of the connection is neither sent nor changed. */
export class TokenExchanger {
  constructor(private readonly deps: TokenExchangerDeps) {}

  /**
   * One request.
   *
   * @param connection with its credential as it is now
   * @param key of the request: no two at a time
   * @throws InvalidArgument, FailedPrecondition, Unavailable, DataLoss
   */
  async exchange(
    connection: Connection,
    profile: ProviderProfile,
    narrowing: Narrowing,
    key: string,
  ): Promise<TokenSet> {
    const { servers, grants, engine, fleet } = this.deps;
    if (fleet?.leads === false) throw new NotLeader();
    const subject = this.#subject(connection);
    const server = await servers.resolve(profile);
    try {
      const { tokenSet } = await engine.admit(profile, key, () =>
        grants.narrow({ ...subject, ...narrowing, server, profile }),
      );
      return tokenSet;
    } catch (error) {
      throw judged(error, narrowing);
    }
  }

  /** @throws FailedPrecondition, DataLoss */
  #subject(connection: Connection) {
    const stored = this.deps.store.getCredential(connection.id);
    if (!stored) throw new DataLoss("the credential of an active connection is missing");
    const credential = this.deps.vault.openCredential(connection, stored);
    if (isBound(credential)) {
      const words = "the tokens of the connection are bound to a key (DPoP), and no other is made of them";
      throw new FailedPrecondition("TOKEN_EXCHANGE_OFF", words);
    }
    return { subjectToken: credential.accessToken, boundTo: credential.binding };
  }
}

function judged(error: unknown, narrowing: Narrowing): unknown {
  if (error instanceof GrantFailure) return exchangeError(error, narrowing);
  if (error instanceof GrantMoved) return new FailedPrecondition("PROVIDER_CHANGED", error.message);
  if (error instanceof ConcurrencyClosed) return new Unavailable("the daemon is stopping", 1_000);
  if (error instanceof ConcurrencyCrowded) return new Unavailable(error.message, 1_000);
  // A client secret that cannot be opened is an error of the profile.
  if (error instanceof DataLoss)
    return new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
  return error;
}
