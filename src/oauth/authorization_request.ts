import type { SignInNeed } from "../model/connections/sign_in.js";
import { plainOAuth2 } from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import { signsResponse } from "./authorization_response.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { codeChallenge } from "./pkce.js";
import { sentResource } from "./token_request.js";

export interface AuthorizationRequest {
  readonly server: AuthorizationServer;
  readonly clientId: string;
  readonly redirectUri: string;
  /** None: the parameter is left out and the provider decides (RFC 6749 section 3.3). */
  readonly scopes: readonly string[];
  readonly state: string;
  readonly codeVerifier: string;
  /** OpenID Connect Core 1.0 section 3.1.2.1; sent only with the scope `openid`, which alone brings an id_token. */
  readonly nonce?: string | undefined;
  /** Thumbprint of the key that the code is bound to (RFC 9449 section 10); undefined without one. */
  readonly dpopJkt?: string | undefined;
  readonly signIn?: SignInNeed | undefined;
  /** The provider's own parameters. One that the protocol owns is left out. */
  readonly extraParams?: Readonly<Record<string, string>> | undefined;
  /** What the profile declares; by default the RFCs' own. */
  readonly options?: Partial<OAuth2Options>;
}

/** Protocol parameters that are not always sent, and those that would change what the others mean. */
const reservedParams = new Set([
  "code_challenge",
  "code_challenge_method",
  "client_secret",
  "code_verifier",
  "dpop_jkt",
  "nonce",
  "request",
  "request_uri",
  "response_mode",
  "scope",
]);

/**
 * Where a person's browser goes for consent: RFC 6749 section 4.1.1 with PKCE (RFC 7636 section 4.3), unless the profile
 * declares that the provider rejects it. A query that the endpoint already has is kept (RFC 6749 section 3.1).
 */
export function authorizationUrl(request: AuthorizationRequest): string {
  const options = { ...plainOAuth2, ...request.options };
  const scopes = options.skipScopeOnAuth ? [] : request.scopes;
  const protocol: Record<string, string> = {
    response_type: "code",
    client_id: request.clientId,
    redirect_uri: request.redirectUri,
    state: request.state,
  };
  if (signsResponse(request.server, options)) protocol["response_mode"] = "jwt";
  if (!options.omitPkce) {
    protocol["code_challenge"] = codeChallenge(request.codeVerifier);
    protocol["code_challenge_method"] = "S256";
  }
  if (scopes.length > 0) protocol["scope"] = scopes.join(options.scopeSeparator);
  if (request.dpopJkt !== undefined) protocol["dpop_jkt"] = request.dpopJkt;
  if (request.nonce !== undefined && scopes.includes("openid")) protocol["nonce"] = request.nonce;
  if (request.signIn) Object.assign(protocol, signInParams(request.signIn));

  const resource = sentResource(options, request.server.authorizationEndpoint);
  if (resource !== undefined) protocol["resource"] = resource;

  const url = new URL(request.server.authorizationEndpoint);
  for (const [name, value] of Object.entries(request.extraParams ?? {})) {
    if (!reservedParams.has(name)) url.searchParams.set(name, value);
  }
  for (const [name, value] of Object.entries(protocol)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * The parameters of an authorization request, without what the endpoint has of its own.
 *
 * @param location as `authorizationUrl` answers it
 */
export function requestParameters(
  { authorizationEndpoint }: AuthorizationServer,
  location: string,
): URLSearchParams {
  const parameters = new URLSearchParams(new URL(location).searchParams);
  for (const name of new URL(authorizationEndpoint).searchParams.keys()) parameters.delete(name);
  return parameters;
}

/** OpenID Connect Core 1.0 section 3.1.2.1. */
function signInParams({ acrValues, maxAgeSeconds }: SignInNeed): Record<string, string> {
  return {
    ...(acrValues.length > 0 && { acr_values: acrValues.join(" ") }),
    ...(maxAgeSeconds !== undefined && { max_age: `${maxAgeSeconds}` }),
  };
}
