/** Below the public URL: what every redirect path begins with. */
export const redirectPathPrefix = "/auth/callback";

/** The one path of the existing Nexus, for profiles that are made under `NEXUS_SHARED_REDIRECT_URI`. */
export const sharedRedirectPath = redirectPathPrefix;

/**
 * The path of one profile alone: an answer that comes to another path is not that provider's (RFC 9700 section 4.4.2.2).
 *
 * @param name as a profile's name
 */
export function redirectPathFor(name: string): string {
  return `${redirectPathPrefix}/${name}`;
}

/** Whether a path is one to which providers may send a browser. */
export function isRedirectPath(path: string): boolean {
  return /^\/auth\/callback(\/[a-z0-9-]{1,80})?$/.test(path);
}

/** The path that a redirect URI ends with. */
export function pathOfRedirectUri(redirectUri: string): string {
  return redirectUri.slice(redirectUri.lastIndexOf(redirectPathPrefix));
}
