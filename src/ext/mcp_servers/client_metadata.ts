import {
  isLoopbackHost,
  redirectPathPrefix,
  type TokenEndpointAuthMethod,
} from "../../model/providers/providers.js";

/** The metadata of the daemon as a client (RFC 7591 section 2, OpenID Connect Registration 1.0 section 2). */
export interface ClientMetadata {
  readonly client_name: string;
  readonly redirect_uris: readonly string[];
  readonly grant_types: readonly string[];
  readonly response_types: readonly string[];
  readonly token_endpoint_auth_method: TokenEndpointAuthMethod;
  readonly application_type: "native" | "web";
  /** With `private_key_jwt` alone, both. */
  readonly jwks_uri?: string;
  readonly token_endpoint_auth_signing_alg?: string;
}

/** By what a key of the daemon signs where the profile does not say it. */
export const ownSigningAlg = "ES256";

/**
 * By what the daemon can authenticate, best first. The body comes before the header: servers that announce both may look for the
 * `client_id` in the body alone.
 */
const ownMethods: readonly TokenEndpointAuthMethod[] = ["client_secret_post", "client_secret_basic", "none"];

/**
 * The methods that both know, the best first. A server that names none knows `client_secret_basic` (RFC 8414 section 2).
 *
 * @param hasSecret false for a client without one
 */
export function commonAuthMethods(
  supported: readonly string[],
  hasSecret: boolean | "either" = "either",
): readonly TokenEndpointAuthMethod[] {
  const known = supported.length === 0 ? ["client_secret_basic", "none"] : supported;
  const usable = ownMethods.filter((method) => hasSecret === "either" || (method !== "none") === hasSecret);
  return usable.filter((method) => known.includes(method));
}

/**
 * @param redirectUri its host says whether the daemon is a program of this machine or a place on the web
 * @param jwksUri where its keys are published, for `private_key_jwt`
 */
export function clientMetadata(
  redirectUri: string,
  method: TokenEndpointAuthMethod,
  jwksUri?: string,
): ClientMetadata {
  const signs = method === "private_key_jwt" && jwksUri !== undefined;
  return {
    client_name: "nexusd",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: method,
    application_type: isLoopbackHost(new URL(redirectUri).hostname) ? "native" : "web",
    ...(signs && { jwks_uri: jwksUri, token_endpoint_auth_signing_alg: ownSigningAlg }),
  };
}

/**
 * Path of the Client ID Metadata Document of the profile with this redirect path: one document for each, so that none reveals the
 * others.
 */
export function clientMetadataPath(redirectPath: string): string {
  return `/client-metadata${redirectPath.slice(redirectPathPrefix.length)}.json`;
}

/** The redirect path whose document is at this path; undefined when it is none's. */
export function redirectPathOfMetadata(path: string): string | undefined {
  const name = /^\/client-metadata((?:\/[a-z0-9-]{1,80})?)\.json$/.exec(path)?.[1];
  return name === undefined ? undefined : `${redirectPathPrefix}${name}`;
}
