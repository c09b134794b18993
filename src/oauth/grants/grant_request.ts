import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { sendTokenRequest, type TokenAnswer } from "../token_response.js";
import { dpopRequests, type Renewal } from "./renewal.js";

/**
 * Sends a token request of an extension grant (RFC 6749 section 4.5).
 *
 * @param grantType the URI of the grant
 * @param authentication by default that of the client
 */
export function sendGrantRequest(
  grant: Renewal,
  grantType: string,
  params: URLSearchParams,
  authentication: oauth.ClientAuth = clientAuthentication(grant.client),
): Promise<TokenAnswer> {
  const { server, client, clock, signal, options = plainOAuth2 } = grant;
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false, dpop: dpopRequests(grant) };
  return sendTokenRequest(grant.fetch, shape, (fetch, proof) =>
    oauth.genericTokenEndpointRequest(
      server.metadata,
      clientMetadata(client, clock),
      authentication,
      grantType,
      params,
      {
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: fetch,
        ...(signal === undefined ? {} : { signal }),
        ...proof,
      },
    ),
  );
}
