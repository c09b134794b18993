import { parseJsonObject } from "../model/json_object.js";

/** Ten years: later ends say "for ever". */
const maxLifetimeMs = 10 * 365 * 24 * 60 * 60 * 1000;

/** The claims of a JWT, whose signature is not verified; undefined when it is none (RFC 7519 section 3.1). */
export function claimsOf(jwt: string): Readonly<Record<string, unknown>> | undefined {
  return partOf(jwt, 1);
}

/** `kid` of the header (RFC 7515 section 4.1.4). */
export function keyIdOf(jwt: string): string | undefined {
  const kid = partOf(jwt, 0)?.["kid"];
  return typeof kid === "string" ? kid : undefined;
}

function partOf(jwt: string, index: number): Readonly<Record<string, unknown>> | undefined {
  const parts = jwt.split(".");
  if (parts.length !== 3) return undefined;
  return parseJsonObject(Buffer.from(parts[index] ?? "", "base64url").toString("utf8"));
}

/**
 * The end of an access token that is a JWT (RFC 9068 section 2.2, RFC 7519 section 4.1.4), for answers without
 * `expires_in`. A hint for the scheduler: nobody is trusted by it, so no signature is checked.
 *
 * @returns undefined for what is no JWT, has no usable `exp`, or ended already
 */
export function jwtExpiryMs(accessToken: string, nowMs: number): number | undefined {
  const exp = claimsOf(accessToken)?.["exp"];
  if (typeof exp !== "number" || !Number.isFinite(exp)) return undefined;
  const expiresAtMs = Math.floor(exp * 1000);
  return expiresAtMs > nowMs ? Math.min(expiresAtMs, nowMs + maxLifetimeMs) : undefined;
}
