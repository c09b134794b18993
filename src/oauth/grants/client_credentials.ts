import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { sendTokenRequest, type TokenAnswer } from "../token_response.js";
import { type MintedToken, mint } from "./minted_token.js";
import { dpopRequests, type Renewal } from "./renewal.js";

export interface ClientCredentialsGrant extends Renewal {
  /** Named in each request; none means the server's default (RFC 6749 section 4.4.2). */
  readonly scopes: readonly string[];
}

/**
 * Asks for a token on the client's own account (RFC 6749 section 4.4). A refresh token in the answer is dropped (section 4.4.3).
 *
 * @throws GrantFailure
 */
export async function clientCredentials(grant: ClientCredentialsGrant): Promise<MintedToken> {
  return await mint(grant, grant.scopes, () => sendClientCredentials(grant));
}

function sendClientCredentials(grant: ClientCredentialsGrant): Promise<TokenAnswer> {
  const { server, client, clock, scopes, signal } = grant;
  const options = grant.options ?? plainOAuth2;
  const params = new URLSearchParams(options.tokenParams);
  if (scopes.length > 0) params.set("scope", scopes.join(" "));
  const shape = { quirks: options, nowMs: clock.nowMs(), isRefresh: false, dpop: dpopRequests(grant) };
  return sendTokenRequest(grant.fetch, shape, (fetch, proof) =>
    oauth.clientCredentialsGrantRequest(
      server.metadata,
      clientMetadata(client, clock),
      clientAuthentication(client),
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
