import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { requestParameters } from "../authorization_request.js";
import { signingKeyOf } from "../client_assertion.js";
import { clientMetadata, keySourceOf } from "../client_authentication.js";
import { GrantFailure } from "../failure.js";
import type { ClientRequest } from "../token_request.js";

export interface SignedRequest extends ClientRequest {
  /** As `authorizationUrl` answers it. */
  readonly location: string;
}

const unsignable =
  "the authorization_params of the profile cannot be signed: claims and authorization_details must be JSON, and max_age a number";

/**
 * Signs an authorization request with the client's key (JAR, RFC 9101 section 4). It is good for a minute.
 *
 * @returns where it goes: the endpoint, with `client_id` and `request` alone (section 5)
 * @throws GrantFailure of kind `client` for a key that cannot sign
 */
export async function signAuthorizationRequest({
  server,
  client,
  clock,
  location,
}: SignedRequest): Promise<string> {
  const { key, alg, kid } = await signingKeyOf(keySourceOf(client), client.signing ?? plainOAuth2);
  const modify = (header: { alg?: unknown }, claims: { sub?: unknown }): void => {
    // The library has one word for Ed25519 and EdDSA.
    header.alg = alg;
    // With it, the request could be taken for what authenticates the client (RFC 9101 section 10.8).
    delete claims.sub;
  };
  const request = await oauth
    .issueRequestObject(
      server.metadata,
      clientMetadata(client, clock),
      requestParameters(server, location),
      kid === undefined ? key : { key, kid },
      { [oauth.modifyAssertion]: modify },
    )
    .catch(() => {
      throw new GrantFailure({ kind: "client", refusal: unsignable });
    });
  const url = new URL(server.authorizationEndpoint);
  url.searchParams.set("client_id", client.clientId);
  url.searchParams.set("request", request);
  return url.href;
}
