import type { TokenSet } from "../../model/credentials/credential.js";
import type { OAuth2Options } from "../../model/providers/profile_settings.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import type { Clock } from "../../runtime/clock.js";
import type { AuthorizationServer } from "../authorization_server.js";
import type { OAuthClient } from "../client_authentication.js";
import { type DpopBinding, DpopRequests } from "../dpop/dpop_requests.js";
import type { IdTokenRejected } from "../failure.js";
import type { AccessTokenViolation } from "../token_response.js";

/** What every request for the next token of a connection needs, whatever its grant type. */
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

/** The proofs of one token request; undefined where no key is proved. */
export function dpopRequests({
  server,
  clock,
  dpop,
}: Pick<Renewal, "server" | "clock" | "dpop">): DpopRequests | undefined {
  return dpop && new DpopRequests(dpop, server.issuer ?? new URL(server.tokenEndpoint).origin, clock);
}

/** What it came to. */
export interface Renewed {
  /** `refreshToken` is undefined when the answer has none: the old one stays valid. */
  readonly tokenSet: TokenSet;
  /** The answer held an id_token that failed a check: its access token must not be served, and the id_token is left out. */
  readonly idTokenViolation?: IdTokenRejected;
  /** The access token must not be served; the refresh token counts all the same. */
  readonly accessTokenViolation?: AccessTokenViolation;
}
