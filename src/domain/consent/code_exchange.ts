import type { Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { callbackMetadata } from "../../model/providers/connection_metadata.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import { ConsentKeeper, type ConsentKeeperDeps, type KeptConsent } from "./consent_keeper.js";

interface CodeRedemptionDeps extends ConsentKeeperDeps {
  readonly grants: Pick<TokenEndpointClient, "exchangeCode">;
  /** Shared with the refresher: one token request per connection. */
  readonly locks: KeyedMutex<string>;
}

/** Exchanges the code of an authorization response, and stores what it brings. */
export class CodeRedemption {
  readonly #keeper: ConsentKeeper;

  constructor(private readonly deps: CodeRedemptionDeps) {
    this.#keeper = new ConsentKeeper(deps);
  }

  /**
   * The exchange and its commit, alone for this connection.
   *
   * @param params as `processAuthorizationResponse` answered them
   * @throws GrantFailure, of another account too where that is refused; ConsentSuperseded
   */
  async redeem(
    pending: PendingAuthorization,
    profile: ProviderProfile,
    server: AuthorizationServer,
    params: URLSearchParams,
    secret: AuthorizationSecret,
    actor: Principal,
  ): Promise<KeptConsent> {
    return await this.deps.locks.run(pending.connectionId, async () => {
      const tokenSet = await this.deps.grants.exchangeCode({
        server,
        profile,
        params,
        redirectUri: pending.redirectUri,
        codeVerifier: secret.codeVerifier,
        nonce: secret.nonce,
        dpopKey: secret.dpopKey,
      });
      const metadata = callbackMetadata(params, profile.oauth2.callbackMetadata);
      return await this.#keeper.keep({ pending, profile, tokenSet, metadata }, actor);
    });
  }
}
