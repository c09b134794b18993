import { jwtExpiryMs } from "../../../oauth/access_token.js";
import { claimsOf, IdTokenError } from "../../../oauth/id_token.js";

/** What an id_token says, on the word of whoever hands it over. */
export interface StatedIdentity {
  readonly subject: string;
  readonly expiresAtMs: number;
}

/**
 * The claims of an id_token that another application got (OpenID Connect Core 1.0 section 3.1.3.7, steps 2, 3, 5 and 9). Its signature is
 * left to the issuer, to which alone it is sent.
 *
 * @throws IdTokenError
 */
export function statedIdentity(
  idToken: string,
  { issuer, clientId }: { readonly issuer: string; readonly clientId: string },
  nowMs: number,
): StatedIdentity {
  const claims = claimsOf(idToken);
  const { iss, aud, azp, sub } = claims;
  if (iss === undefined) throw new IdTokenError("malformed");
  if (iss !== issuer) throw new IdTokenError("iss");
  if (aud !== clientId && !(Array.isArray(aud) && aud.includes(clientId))) throw new IdTokenError("aud");
  if (azp !== undefined && azp !== clientId) throw new IdTokenError("azp");
  if (typeof sub !== "string" || sub === "" || sub.length > 255) throw new IdTokenError("sub");
  const expiresAtMs = jwtExpiryMs(idToken, nowMs);
  if (expiresAtMs === undefined) throw new IdTokenError("exp");
  return { subject: sub, expiresAtMs };
}
