import type { ProviderSettings } from "./profile_settings.js";

/**
 * Where the provider says whose a credential is: a path below `api_base_url`, or a URL of its own.
 *
 * @returns undefined where the profile does not say it, or not so that it can be called
 */
export function userInfoUrl(profile: ProviderSettings): URL | undefined {
  const { authType, apiBaseUrl, userInfoEndpoint } = profile;
  if (userInfoEndpoint === "") return undefined;
  if (apiBaseUrl === "" && authType !== "oauth2") return undefined;
  if (URL.canParse(userInfoEndpoint)) return new URL(userInfoEndpoint);
  if (!URL.canParse(apiBaseUrl)) return undefined;
  const base = new URL(apiBaseUrl);
  const path = `${base.pathname.replace(/\/+$/, "")}/${userInfoEndpoint.replace(/^[/\\]+/, "")}`;
  const place = `${base.origin}${path}`;
  return URL.canParse(place) ? new URL(place) : undefined;
}
