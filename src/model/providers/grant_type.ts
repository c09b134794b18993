import type { ProviderSettings } from "./profile_settings.js";

/**
 * Whether tokens come without a person: the daemon mints each again, and a request uses nothing up that the next one needs. So there is
 * nobody to ask when one is refused, and an answer that was lost is requested again.
 */
export function isUnattended({ authType, grantType }: ProviderSettings): boolean {
  return authType === "oauth2" && grantType !== "authorization_code";
}

/** Whether a person consents at the provider, in a browser that comes back to a redirect URI. */
export function isConsented(settings: ProviderSettings): boolean {
  return settings.authType === "oauth2" && !isUnattended(settings);
}
