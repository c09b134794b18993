import type { AuditEventType } from "../../model/access/audit_event.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { InvalidResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { shownIssuer } from "../../oauth/discovery.js";
import type { GrantFailure } from "../../oauth/failure.js";
import type { McpLookup } from "../providers/mcp_lookup.js";
import { refusedClientAdvice } from "../token_endpoint/refused_client.js";

/** Why a consent came to nothing, and what more the problem of the connection says: the end of a sentence. */
export interface ConsentProblem {
  readonly reason: ProblemReason;
  readonly detail?: string | undefined;
}

/** Of an answer that fails the checks of RFC 6749 section 4.1.2 and RFC 9207. */
export function invalidResponse(
  { reason, iss }: InvalidResponse,
  { issuer = "" }: AuthorizationServer,
): ConsentProblem {
  if (reason === "iss_missing") {
    return {
      reason: "issuer_mismatch",
      detail: `it names none, and ${issuer} says that it always names itself`,
    };
  }
  if (reason === "iss_mismatch") {
    const detail = `it names ${shownIssuer(iss)}, and the profile says ${issuer}; if both are the provider's, correct the issuer of the profile`;
    return { reason: "issuer_mismatch", detail };
  }
  if (reason === "state_mismatch") return { reason: "state_verification_failed" };
  return { reason: "invalid_authorization_response", detail: responseWords[reason] };
}

const responseWords: Readonly<
  Record<Exclude<InvalidResponse["reason"], "iss_missing" | "iss_mismatch" | "state_mismatch">, string>
> = {
  duplicate_parameter: "it has a parameter twice",
  missing_code: "it has neither a code nor an error",
  malformed_code: "its code has characters that RFC 6749 appendix A.11 does not allow",
  unexpected_parameter: "it has parameters of a flow that was not asked for",
};

/** Of an error response (RFC 6749 section 4.1.2.1). */
export function errorResponse(error: string, redirectUri: string): ConsentProblem {
  if (error === "access_denied") return { reason: "access_denied" };
  return { reason: "authorization_failed", detail: redirectWords(error, redirectUri) ?? error };
}

/** Of a code that was not exchanged. `type` is the audit event, and what applications get. */
export function exchangeFailure(
  failure: GrantFailure,
  profile: ProviderProfile,
  redirectUri: string,
): ConsentProblem & {
  readonly type: Extract<AuditEventType, "token_exchange_failed" | "id_token_verification_failed">;
} {
  const { idTokenViolation, clock, network } = failure;
  if (failure.reason === "id_token_verification_failed") {
    const type = "id_token_verification_failed";
    if (clock !== undefined) return { type, reason: "clock_skew", detail: clock };
    return { type, reason: type, detail: failure.detail ?? idTokenWords(idTokenViolation) };
  }
  const type = "token_exchange_failed";
  if (failure.reason === "account_changed") return { type, reason: "account_changed" };
  if (failure.refusal !== undefined) return { type, reason: "misconfigured", detail: failure.refusal };
  if (failure.demandsDpop && profile.oauth2.dpop !== "always") {
    return { type, reason: "unsupported_demand", detail: dpopWords(profile) };
  }
  if (failure.isClientRejected)
    return { type, reason: "client_rejected", detail: clientWords(failure, profile) };
  if (network?.isClock) return { type, reason: "clock_skew", detail: network.words };
  if (network) return { type, reason: "provider_unreachable", detail: network.words };
  return {
    type,
    reason: type,
    detail: redirectWords(failure.oauthError, redirectUri) ?? answerWords(failure),
  };
}

/** The same, once the client that was refused has another in its place where that helps. */
export async function refusedExchange(
  failure: GrantFailure,
  profile: ProviderProfile,
  redirectUri: string,
  mcp: McpLookup | undefined,
): Promise<ReturnType<typeof exchangeFailure>> {
  const problem = exchangeFailure(failure, profile, redirectUri);
  const now =
    problem.reason === "client_rejected" ? await mcp?.followed(profile, "client_refused") : undefined;
  if (now === undefined || now.version === profile.version) return problem;
  const { tokenEndpointAuthMethod: method } = now;
  const detail = `${answerWords(failure)}; nexusd had registered this client, and has registered another one for ${method}: consent again`;
  return { ...problem, detail };
}

/** Of an authorization request that was pushed and refused (RFC 9126 section 2.3); the client as in `refusedExchange`. */
export async function refusedPush(
  failure: GrantFailure,
  profile: ProviderProfile,
  redirectUri: string,
  mcp: McpLookup | undefined,
): Promise<ConsentProblem> {
  const { type, reason, detail } = await refusedExchange(failure, profile, redirectUri, mcp);
  return { reason: reason === type ? "authorization_failed" : reason, detail };
}

function dpopWords({ name }: ProviderProfile): string {
  return `DPoP (RFC 9449): set dpop in the oauth2_options of the profile ${name} to always, or turn sender-constrained tokens off for this client at the provider, then consent again`;
}

function clientWords(failure: GrantFailure, profile: ProviderProfile): string {
  const { name, tokenEndpointAuthMethod: method, registration } = profile;
  const answer = answerWords(failure);
  if (registration) {
    const update = `nexusd provider update ${name}`;
    return `${answer}; nexusd made this client known for ${method}: consent again; if it is refused again, register a client at the provider by hand\n  then: ${update} --client-id ID --client-secret-file FILE`;
  }
  return `${answer}; ${refusedClientAdvice(profile)}\n  then consent again`;
}

function answerWords({ httpStatus, cameAsSuccess, oauthError, detail }: GrantFailure): string {
  const status = httpStatus === undefined || cameAsSuccess ? undefined : `HTTP status ${httpStatus}`;
  const words = [status, oauthError, detail].filter((word) => word !== undefined);
  return words.length === 0 ? "the answer holds no token" : words.join(", ");
}

/** Words of GitHub, Google and others; most providers report it on a page of their own and send nobody back. */
const redirectErrors: ReadonlySet<string> = new Set([
  "redirect_uri_mismatch",
  "bad_redirect_uri",
  "invalid_redirect_uri",
]);

function redirectWords(error: string | undefined, redirectUri: string): string | undefined {
  if (error === undefined || !redirectErrors.has(error)) return undefined;
  return `${error}: register this redirect URI at the provider, character by character: ${redirectUri}`;
}

function idTokenWords(violation: GrantFailure["idTokenViolation"]): string | undefined {
  if (violation === undefined) return undefined;
  if (violation === "missing") return "the answer holds none, although openid was asked for";
  if (violation === "malformed") return "it is no JWT that can be read";
  return violation === "alg" ? "its algorithm is not permitted" : `its claim ${violation} is wrong`;
}
