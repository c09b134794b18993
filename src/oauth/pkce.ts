import * as oauth from "oauth4webapi";

/** RFC 7636 section 4.1: 43 characters of 256 random bits. */
export function newCodeVerifier(): string {
  return oauth.generateRandomCodeVerifier();
}
