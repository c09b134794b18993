import type { Token } from "./token.js";

/** Where a hook gets tokens. */
export interface TokenSource {
  token(): Promise<Token>;
  /**
   * Reports that an API refused a token.
   *
   * @returns the next one, for one more attempt; undefined when the first answer stands
   */
  nextToken(sent: Token, status: number, wwwAuthenticate: string): Promise<Token | undefined>;
}

/** `WWW-Authenticate` is cut here: the daemon takes 8 KiB. */
const maxChallengeLength = 8_000;

/** The status and the challenge of an answer that refuses the token (RFC 6750 section 3.1); undefined for any other. */
export function refusal(
  status: number,
  wwwAuthenticate: string,
): { readonly status: number; readonly challenge: string } | undefined {
  const isAboutScope = /\berror\s*=\s*"?insufficient_scope\b/i.test(wwwAuthenticate);
  if (status !== 401 && !(status === 403 && isAboutScope)) return undefined;
  return { status, challenge: wwwAuthenticate.slice(0, maxChallengeLength) };
}
