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

/** The path that a redirect URI ends with. */
export function pathOfRedirectUri(redirectUri: string): string {
  return redirectUri.slice(redirectUri.lastIndexOf(redirectPathPrefix));
}
