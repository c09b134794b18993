import type { ProviderProfile, ProviderSettings } from "./provider_profile.js";

/** Below the public URL: of providers that name themselves in the authorization response (RFC 9207), and of old profiles. */
export const sharedRedirectPath = "/auth/callback";

/**
 * The path of one profile alone: an answer that comes to another path is not that provider's (RFC 9700 section 4.4.2.2).
 *
 * @param name as a profile's name
 */
export function ownRedirectPath(name: string): string {
  return `${sharedRedirectPath}/${name}`;
}

/** Whether a path is one to which providers may send a browser. */
export function isRedirectPath(path: string): boolean {
  return path === sharedRedirectPath || /^\/auth\/callback\/[a-z0-9-]{1,80}$/.test(path);
}

export function redirectPathOf(profile: Pick<ProviderProfile, "redirectPath">): string {
  return profile.redirectPath ?? sharedRedirectPath;
}

/** Whether two profiles that share a path are told apart by `iss` alone: then no answer passes without it. */
export function demandsIssuer(profile: Pick<ProviderProfile, "redirectPath">): boolean {
  return profile.redirectPath === sharedRedirectPath;
}

/** What the path depends on. A change of it asks again which path the profile gets. */
export function sameIssuer(one: IssuerSettings, other: IssuerSettings): boolean {
  return one.issuer === other.issuer && one.enableDiscovery === other.enableDiscovery;
}

type IssuerSettings = Pick<ProviderSettings, "issuer" | "enableDiscovery">;

/** The path that a redirect URI ends with. */
export function pathOfRedirectUri(redirectUri: string): string {
  return redirectUri.slice(redirectUri.lastIndexOf(sharedRedirectPath));
}
