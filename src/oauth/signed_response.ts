import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type JWK,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import type { InvalidResponse } from "./authorization_response.js";
import { signingAlgorithms } from "./authorization_server.js";
import { clockToleranceSeconds } from "./client_authentication.js";
import { type Jwks, JwksUnavailable } from "./jwks.js";
import { keyIdOf } from "./jwt.js";
import type { ClientRequest } from "./token_request.js";

export interface SignedResponse extends Pick<ClientRequest, "server" | "client" | "fetch" | "clock"> {
  /** As it came to the redirect URI. */
  readonly query: URLSearchParams;
}

/**
 * Verifies an authorization response that is a JWT (JARM section 2.4): its signature by the keys of the server, fetched again for a key that is
 * not there, then `aud` and `exp`.
 *
 * @returns its parameters with `iss`, which `processAuthorizationResponse` judges; nothing beside the JWT counts
 */
export async function verifySignedResponse(
  asked: SignedResponse,
): Promise<URLSearchParams | InvalidResponse> {
  const { server, query, fetch, clock } = asked;
  const jwts = query.getAll("response");
  const [jwt = ""] = jwts;
  if (jwts.length > 1) return invalid("duplicate_parameter");
  if (jwt === "") return invalid("unsigned_response");
  if (server.keys === undefined) return invalid("keys_unavailable");
  try {
    const cached = await server.keys.get(fetch, clock);
    const claims = await verified(asked, jwt, cached);
    if (claims !== "signature") return claims === "claims" ? invalid("response_claims") : paramsOf(claims);
    const renewed = await server.keys.renew(cached, keyIdOf(jwt), fetch, clock);
    const again = renewed === undefined ? claims : await verified(asked, jwt, renewed);
    if (typeof again !== "string") return paramsOf(again);
    return invalid(again === "claims" ? "response_claims" : "response_signature");
  } catch (error) {
    if (error instanceof JwksUnavailable) return invalid("keys_unavailable");
    throw error;
  }
}

/** The claims, or what of it is wrong. */
async function verified(
  { client, clock }: SignedResponse,
  jwt: string,
  { keys }: Jwks,
): Promise<JWTPayload | "signature" | "claims"> {
  const options: JWTVerifyOptions = {
    algorithms: signingAlgorithms,
    audience: client.clientId,
    requiredClaims: ["iss", "aud", "exp"],
    clockTolerance: clockToleranceSeconds,
    currentDate: new Date(clock.nowMs()),
  };
  try {
    const set = createLocalJWKSet({ keys: keys as JWK[] });
    return (await jwtVerify(jwt, set, options)).payload;
  } catch (error) {
    return error instanceof errors.JWKSMultipleMatchingKeys
      ? await verifiedByOne(jwt, error, options)
      : violationOf(error);
  }
}

/** A JWT that names no key is of any. */
async function verifiedByOne(
  jwt: string,
  keys: AsyncIterable<CryptoKey>,
  options: JWTVerifyOptions,
): Promise<JWTPayload | "signature" | "claims"> {
  for await (const key of keys) {
    try {
      return (await jwtVerify(jwt, key, options)).payload;
    } catch (error) {
      const violation = violationOf(error);
      if (violation === "claims") return violation;
    }
  }
  return "signature";
}

function violationOf(error: unknown): "signature" | "claims" {
  const isOfClaims = error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired;
  return isOfClaims ? "claims" : "signature";
}

/** The JWT's own claims are no parameters, but for `iss` (RFC 9207). */
function paramsOf(claims: JWTPayload): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(claims)) {
    const isParam = typeof value === "string" || typeof value === "number";
    if (isParam && !["aud", "exp", "iat", "nbf", "jti", "sub"].includes(name)) params.set(name, `${value}`);
  }
  return params;
}

function invalid(reason: InvalidResponse["reason"]): InvalidResponse {
  return { kind: "invalid", reason };
}
