import * as oauth from "oauth4webapi";
import type { TokenSet } from "../../model/credentials/credential.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import type { OAuth2Options } from "../../model/providers/profile_settings.js";
import type { OutboundFetch } from "../../outbound/outbound_fetch.js";
import type { Clock } from "../../runtime/clock.js";
import type { AuthorizationServer } from "../authorization_server.js";
import { clientAuthentication, clientMetadata, type OAuthClient } from "../client_authentication.js";
import { type DpopBinding, DpopRequests } from "../dpop/dpop_requests.js";
import type { IdTokenRejected } from "../failure.js";
import { type AccessTokenViolation, sendTokenRequest, type TokenAnswer } from "../token_response.js";

/** What every request at a token endpoint needs, whatever its grant type. */
export interface Renewal {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  /** What the profile declares; by default the RFCs' own. */
  readonly options?: OAuth2Options | undefined;
  readonly clock: Clock;
  readonly fetch: OutboundFetch;
  readonly signal?: AbortSignal | undefined;
  /** The key of the connection; undefined where none is proved. */
  readonly dpop?: DpopBinding | undefined;
}

/** What it came to. */
export interface Renewed {
  /** `refreshToken` is undefined when the answer has none: the old one stays valid. */
  readonly tokenSet: TokenSet;
  /** The answer held an id_token that failed a check: its access token must not be served, and the id_token is left out. */
  readonly idTokenViolation?: IdTokenRejected;
  /** The access token must not be served; the refresh token counts anyway. */
  readonly accessTokenViolation?: AccessTokenViolation;
}

/** Calls a request function of the library, with the arguments that all of them take. */
type GrantCall = (
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  authentication: oauth.ClientAuth,
  options: oauth.TokenEndpointRequestOptions,
) => Promise<Response>;

/**
 * Sends one request at the token endpoint.
 *
 * @param isRefresh whether the root of the answer may hold the token, as `adaptTokenAnswer` has it
 */
export function sendRenewal(renewal: Renewal, call: GrantCall, isRefresh = false): Promise<TokenAnswer> {
  const { server, client, clock, signal, dpop, options: quirks = plainOAuth2 } = renewal;
  const htu = server.issuer ?? new URL(server.tokenEndpoint).origin;
  const proofs = dpop && new DpopRequests(dpop, htu, clock);
  const shape = { quirks, nowMs: clock.nowMs(), isRefresh, dpop: proofs };
  return sendTokenRequest(renewal.fetch, shape, (fetch, proof) =>
    call(server.metadata, clientMetadata(client, clock), clientAuthentication(client), {
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: fetch,
      ...(signal === undefined ? {} : { signal }),
      ...proof,
    }),
  );
}
