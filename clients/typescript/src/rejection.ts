import type { Token } from "./token.js";

/** Where a hook gets tokens. */
export interface TokenSource {
  token(): Promise<Token>;
  /**
   * Reports that an API refused a token.
   *
   * @returns the next one, for one more attempt; undefined when the first answer stands
   * @throws ConsentRequired where the API wants scopes that a person can grant
   */
  nextToken(sent: Token, status: number, wwwAuthenticate: string): Promise<Token | undefined>;
  /** A proof of the key that the token is bound to. */
  prove(request: ProvedRequest): Promise<string>;
}

/** The request that a proof is for; `nonce` is empty where the API asked for none. */
export interface ProvedRequest {
  readonly method: string;
  readonly url: string;
  readonly nonce: string;
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
