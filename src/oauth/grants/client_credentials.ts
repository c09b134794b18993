import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { type MintedToken, mint, sendGrantRequest } from "./minted_token.js";
import type { Renewal } from "./renewal.js";

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
  const { scopes, options = plainOAuth2 } = grant;
  const params = new URLSearchParams(options.tokenParams);
  if (scopes.length > 0) params.set("scope", scopes.join(" "));
  return await mint(grant, scopes, () => sendGrantRequest(grant, "client_credentials", params));
}
