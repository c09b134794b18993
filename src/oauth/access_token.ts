/** Ten years: later ends say "for ever". */
const maxLifetimeMs = 10 * 365 * 24 * 60 * 60 * 1000;

/**
 * The end of an access token that is a JWT (RFC 9068 section 2.2, RFC 7519 section 4.1.4), for answers without
 * `expires_in`. A hint for the scheduler: nobody is trusted by it, so no signature is checked.
 *
 * @returns undefined for what is no JWT, has no usable `exp`, or ended already
 */
export function jwtExpiryMs(accessToken: string, nowMs: number): number | undefined {
  const [, payload, signature, ...rest] = accessToken.split(".");
  if (payload === undefined || signature === undefined || rest.length > 0) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null || !("exp" in claims)) return undefined;
    const { exp } = claims;
    if (typeof exp !== "number" || !Number.isFinite(exp)) return undefined;
    const expiresAtMs = Math.floor(exp * 1000);
    return expiresAtMs > nowMs ? Math.min(expiresAtMs, nowMs + maxLifetimeMs) : undefined;
  } catch {
    return undefined;
  }
}
