import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { sendTokenRequest, type TokenAnswer } from "../token_response.js";
import type { Renewal } from "./renewal.js";

/**
 * Sends a token request of an extension grant (RFC 6749 section 4.5).
 *
 * @param grantType the URI of the grant
 * @param authentication by default that of the client
 */
export function sendGrantRequest(
  { server, client, clock, fetch, signal, options = plainOAuth2 }: Renewal,
  grantType: string,
  params: URLSearchParams,
  authentication: oauth.ClientAuth = clientAuthentication(client),
): Promise<TokenAnswer> {
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false };
  return sendTokenRequest(fetch, shape, (normalisingFetch) =>
    oauth.genericTokenEndpointRequest(
      server.metadata,
      clientMetadata(client, clock),
      authentication,
      grantType,
      params,
      {
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: normalisingFetch,
        ...(signal === undefined ? {} : { signal }),
      },
    ),
  );
}
