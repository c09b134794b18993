import { hash } from "node:crypto";
import * as oauth from "oauth4webapi";

/** RFC 7636 section 4.1: 43 characters of 256 random bits. */
export function newCodeVerifier(): string {
  return oauth.generateRandomCodeVerifier();
}

/** RFC 7636 section 4.2, method `S256`. Synchronous, where the library's goes through the thread pool for 43 bytes. */
export function codeChallenge(codeVerifier: string): string {
  return hash("sha256", codeVerifier, "base64url");
}
