import * as oauth from "oauth4webapi";
import { type SignInNeed, signInNeed } from "../../model/connections/sign_in.js";

/** Error words of RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9, and RFC 9470 section 3. */
const knownErrors = [
  "invalid_request",
  "invalid_token",
  "insufficient_scope",
  "invalid_dpop_proof",
  "use_dpop_nonce",
  "insufficient_user_authentication",
] as const;
export type ChallengeError = (typeof knownErrors)[number] | "other";

/** What an API says of a token that it refuses. */
export interface TokenChallenge {
  /** Undefined when it says nothing; `other` stands for a word of its own, which may be anything. */
  readonly error: ChallengeError | undefined;
  /** Those that it names, each once and well-formed (RFC 6749 section 3.3), 100 at most. */
  readonly scopes: readonly string[];
  /** Of `insufficient_user_authentication` alone: how the user must sign in (RFC 9470 section 3). */
  readonly signIn?: SignInNeed;
}

const nothing: TokenChallenge = Object.freeze({ error: undefined, scopes: [] });
const maxScopes = 100;
const maxAcrValues = 10;
/** As in requests: one longer than this is none. */
const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/;
const schemes = ["bearer", "dpop"];

/**
 * The first challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1) that is about a token and names an error. What is not a
 * list of challenges says nothing.
 */
export async function readTokenChallenge(header: string): Promise<TokenChallenge> {
  const challenges = await parseChallenges(header);
  const found = challenges.find(
    ({ scheme, parameters }) => schemes.includes(scheme) && parameterOf(parameters, "error") !== undefined,
  );
  if (!found) return nothing;
  const word = parameterOf(found.parameters, "error");
  const error = knownErrors.find((known) => known === word) ?? "other";
  const scopes = listOf(found.parameters, "scope", maxScopes);
  if (error !== "insufficient_user_authentication") return { error, scopes };
  const acrValues = listOf(found.parameters, "acr_values", maxAcrValues);
  const maxAge = parameterOf(found.parameters, "max_age") ?? "";
  const maxAgeSeconds = /^\d{1,8}$/.test(maxAge) ? Number(maxAge) : undefined;
  return { error, scopes, signIn: signInNeed(acrValues, maxAgeSeconds) ?? newSignIn };
}

/** What an API wants that says no more. */
const newSignIn: SignInNeed = { acrValues: [], maxAgeSeconds: 0 };

function listOf(parameters: object, name: "scope" | "acr_values", max: number): readonly string[] {
  const words = (parameterOf(parameters, name) ?? "").split(" ");
  return [...new Set(words.filter((one) => scopeToken.test(one)))].slice(0, max);
}

function parameterOf(
  parameters: object,
  name: "error" | "scope" | "acr_values" | "max_age",
): string | undefined {
  return Object.hasOwn(parameters, name) ? (parameters as Record<string, string>)[name] : undefined;
}

/** The library parses the challenges of an answer where it takes one that has them, and throws what it found. */
export async function parseChallenges(header: string): Promise<readonly oauth.WWWAuthenticateChallenge[]> {
  try {
    const response = new Response(null, { status: 401, headers: { "www-authenticate": header } });
    await oauth.processRevocationResponse(response);
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.cause;
  }
  return [];
}
