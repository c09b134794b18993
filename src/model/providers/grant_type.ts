import type { ProviderSettings } from "./profile_settings.js";

/**
 * Whether tokens come without a person: the daemon mints each anew, and a request uses nothing up that the next one needs. So there is
 * nobody to ask when one is refused, and an answer that was lost is asked for again.
 */
export function isUnattended({
  authType,
  grantType,
}: Pick<ProviderSettings, "authType" | "grantType">): boolean {
  return authType === "oauth2" && grantType !== "authorization_code";
}

/** Those whose requests the client signs, however it authenticates. */
export const signingGrants: readonly ProviderSettings["grantType"][] = ["jwt_bearer", "github_app"];

/** Whether `client_secret` holds a private key. */
export function hasPrivateKey(
  settings: Pick<ProviderSettings, "authType" | "grantType" | "tokenEndpointAuthMethod">,
): boolean {
  const signs =
    signingGrants.includes(settings.grantType) || settings.tokenEndpointAuthMethod === "private_key_jwt";
  return settings.authType === "oauth2" && signs;
}

/** Whether the daemon signs with a key that it made itself: `client_secret` holds none. */
export function signsByClientKey(
  settings: Pick<ProviderSettings, "authType" | "tokenEndpointAuthMethod">,
  hasSecret: boolean,
): boolean {
  return (
    settings.authType === "oauth2" && settings.tokenEndpointAuthMethod === "private_key_jwt" && !hasSecret
  );
}

/** Whether a person consents at the provider, in a browser that comes back to a redirect URI. */
export function isConsented(settings: Pick<ProviderSettings, "authType" | "grantType">): boolean {
  return settings.authType === "oauth2" && !isUnattended(settings);
}
