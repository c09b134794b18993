import type { AuditEventType } from "../../model/access/audit_event.js";
import type { Provenance } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { StepUpScopes } from "../../model/connections/step_up.js";
import type { Account } from "../../model/credentials/account.js";
import { isExpiredState } from "../../model/ids.js";
import type { JsonObject } from "../../model/json.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { InvalidResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { printableIssuer } from "../../oauth/discovery.js";
import type { GrantFailure } from "../../oauth/failure.js";
import type { QueuedRevocation } from "../grants/grants.js";
import type { CaptureField, McpLookup } from "../profiles/profiles.js";
import { refusedClientAdvice } from "../token_endpoint/token_endpoint.js";
import type { Flaw } from "./ways.js";

/** A cookie that binds a browser; the listener decides prefix and attributes. */
export interface BrowserBinding {
  readonly name: string;
  readonly value: string;
  readonly maxAgeSeconds: number;
}

/** The provider that a page speaks of. */
export interface NamedProvider {
  readonly providerName: string;
  /** Name of the template that its profile was made from; empty, or left out, when there is none. */
  readonly template?: string | undefined;
}

/** Whose application asks a person, and for whom. */
export interface Asker {
  /** Name of the principal that made the request; empty when it is not known. */
  readonly requestedBy?: string | undefined;
  /** The application's name for the user. */
  readonly userId?: string | undefined;
  /** Where the browser is sent in the end; undefined for a page of ours. */
  readonly returnUrl: string | undefined;
}

/** A step-up: an API refused the token that there is. */
export interface StepUpRequest extends StepUpScopes, NamedProvider, Asker {
  /** The API wants another sign-in, or a newer one. */
  readonly wantsSignIn: boolean;
  /** Comes back with the form that says no; bound to the cookie of this browser. */
  readonly formToken: string;
}

/** What the browser listener must do after `/auth/start`. */
export type StartOutcome =
  | {
      readonly kind: "redirect";
      /** The provider's authorization endpoint with the authorization request. */
      readonly location: string;
      readonly binding: BrowserBinding;
    }
  /** What the person sees before the provider is asked; the request to it is made when the person has agreed. */
  | { readonly kind: "step_up"; readonly binding: BrowserBinding; readonly stepUp: StepUpRequest }
  /** A static type: the person enters the credential into the form. */
  | { readonly kind: "capture"; readonly binding: BrowserBinding }
  | ConsentFailure;

/** A consent that is given, and that no application waits for. */
export interface ConsentDone extends NamedProvider, Omit<Asker, "returnUrl"> {
  readonly kind: "done";
  /** What was granted; undefined for static types. */
  readonly scopes?: readonly string[] | undefined;
  /** Undefined when the provider did not say, and for static types. */
  readonly account?: Account | undefined;
  /** The connection was another account's before. */
  readonly isOther?: boolean | undefined;
}

/** The person declined a step-up: the connection is as it was. */
export interface StepUpDeclined extends NamedProvider {
  readonly kind: "declined";
}

/** What the browser listener must do after `/auth/callback`. */
export type FinishOutcome =
  | { readonly kind: "return"; readonly location: string }
  | StepUpDeclined
  | ConsentDone
  | ConsentFailure;

/** Why a link or an answer leads nowhere. What a person reads, and the HTTP status, are those of the listener. */
export type ConsentFailure =
  /** The link was used, was replaced, or never was one. */
  | { readonly kind: "unknown_request" }
  | { readonly kind: "expired" }
  /** The profile was changed or deleted after the link was made. */
  | { readonly kind: "provider_changed" }
  | { readonly kind: "provider_unreachable" }
  /** The provider answers, and the profile and its answer do not go together, or it must not be called. */
  | { readonly kind: "provider_misconfigured" }
  /** An answer without `state`, which says of no link whose it is: nothing is over. */
  | { readonly kind: "denied_without_state" }
  | { readonly kind: "answer_without_state" }
  /** An error whose `iss` is another's (RFC 9207 section 2.4): nothing is over. */
  | { readonly kind: "foreign_answer" }
  /** The form of another browser, or without its token. */
  | { readonly kind: "foreign_form" }
  | RefusedConsent;

/** A consent that is over. */
export interface RefusedConsent extends NamedProvider {
  readonly kind: "refused";
  readonly reason: ProblemReason;
  /** Its name at the provider or in the protocol, for those who help the user. */
  readonly word: string;
  /** What more there is to say, in words of ours. */
  readonly detail?: string | undefined;
  /** Set when the provider had granted already. */
  readonly grant?: DroppedGrant | undefined;
  /** Where the audit log has more. */
  readonly connectionId?: string;
  /** The account that the connection belongs to, when another one consented. */
  readonly expected?: Account | undefined;
}

/** What becomes of a grant whose answer cannot be used; `kept` since the connection holds one of the same account. */
export type DroppedGrant = QueuedRevocation | "kept";

/** The consent flow as the browser listener sees it. */
export interface ConsentFlow {
  /**
   * Idempotent: a prefetch or a reload consumes nothing.
   *
   * @param agreed whether the user of this browser agreed to the step-up, or there is no user to ask
   */
  start(state: string, agreed?: (binding: BrowserBinding) => boolean): Promise<StartOutcome>;
  /**
   * The person says no to a step-up: consumes the state, if the form comes from the page that `start` showed.
   *
   * @param formToken as `StepUpRequest` has it
   */
  decline(
    state: string,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<FinishOutcome>;
  /**
   * Consumes the state, unless the answer is an error of another issuer.
   *
   * @param query the query of the callback, exactly as received
   * @param cookie reads a cookie of the request by the name given in `binding.name`
   * @param from of the visitor, for the audit log
   * @param path of the request, below the public URL: an answer to another redirect URI than the request's is refused
   */
  finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
    path: string,
  ): Promise<FinishOutcome>;
}

/** The form in which a person enters a static credential. */
export interface CaptureForm extends NamedProvider, Asker {
  /** Of the schema; empty when it has none. */
  readonly title: string;
  readonly description: string;
  readonly fields: readonly CaptureField[];
  /** Errors of no field in particular. */
  readonly violations: readonly string[];
  /** Comes back with the form; bound to the cookie of this browser. */
  readonly formToken: string;
}

/** What the browser listener must do after `GET /auth/capture`. */
export type CaptureFormOutcome = { readonly kind: "form"; readonly form: CaptureForm } | ConsentFailure;

/** What a program asks that shows a form of its own. */
export type CaptureSchemaOutcome =
  | { readonly kind: "schema"; readonly providerName: string; readonly schema: JsonObject }
  | ConsentFailure;

/** Values break the schema, the provider did not accept them, or it could not be reached. */
export type CaptureError = "invalid" | "rejected" | "not_asked";

/** What the browser listener must do after `POST /auth/capture`; `form` shows what has to be fixed. */
export type SubmitOutcome =
  | FinishOutcome
  | { readonly kind: "form"; readonly error: CaptureError; readonly form: CaptureForm };

/** The capture form as the browser listener sees it. `cookie` and `from` are as in `ConsentFlow`. */
export interface CaptureFlow {
  /** Idempotent. */
  form(state: string, cookie: (name: string) => string | undefined): Promise<CaptureFormOutcome>;
  /** The fields to ask for; the holder of the state may know them. Idempotent. */
  schema(state: string): CaptureSchemaOutcome;
  /** Consumes the state if the values are good. @param formToken as `CaptureForm` has it */
  submit(
    state: string,
    values: URLSearchParams,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<SubmitOutcome>;
}

/** Where the link of a notification leads. */
export type FollowOutcome =
  | { readonly kind: "consent"; readonly authUrl: string }
  | { readonly kind: "unknown_request" | "expired" | "provider_unreachable" | "provider_misconfigured" };

/** The page for a flawed request that ends nothing. */
export function failureOf(flaw: Flaw, state: string, nowMs: number): ConsentFailure {
  switch (flaw) {
    case "expired":
      return { kind: "expired" };
    case "profile_changed":
    case "profile_deleted":
      return { kind: "provider_changed" };
    case "other_browser":
      return { kind: "foreign_form" };
    default:
      return { kind: isExpiredState(state, nowMs) ? "expired" : "unknown_request" };
  }
}

export function namedProvider({ name, template }: ProviderProfile): NamedProvider {
  return { providerName: name, template };
}

/** Who asks a person, for whom, and for what provider. */
export function asking(
  { requestedBy, returnUrl }: PendingAuthorization,
  profile: ProviderProfile,
  connection: Connection | undefined,
): Asker & NamedProvider {
  return { requestedBy, userId: connection?.userId, returnUrl, ...namedProvider(profile) };
}

/** A consent that is over: the browser goes to the caller, or to a page of ours. @param error for the caller */
export function returnRefused(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  refused: RefusedConsent,
  error = refused.word,
): FinishOutcome {
  const { returnUrl } = pending;
  if (returnUrl === undefined) return refused;
  const outcome = { status: "error", error } as const;
  return { kind: "return", location: returnLocation(returnUrl, pending, profile, outcome) };
}

/** A consent that is given. */
export function returnGiven(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  { completionCode, connection, scopes, account, isOther }: Given,
): FinishOutcome {
  const { returnUrl } = pending;
  if (returnUrl === undefined) {
    return { kind: "done", ...asking(pending, profile, connection), scopes, account, isOther };
  }
  const outcome = successOf(completionCode);
  return { kind: "return", location: returnLocation(returnUrl, pending, profile, outcome) };
}

interface Given {
  /** When the credential waits for its confirmation. */
  readonly completionCode: string | undefined;
  readonly connection: Connection | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly account?: Account | undefined;
  readonly isOther?: boolean | undefined;
}

/** Adds the outcome to the return URL; a query already there is kept. */
function returnLocation(
  returnUrl: string,
  pending: PendingAuthorization,
  profile: ProviderProfile,
  outcome: ReturnOutcome,
): string {
  const url = new URL(returnUrl);
  const added = new URLSearchParams({
    ...outcome,
    connection_id: pending.connectionId,
    provider: profile.name,
  });
  const kept = url.search.slice(1).split("&").filter(isForeign);
  url.search = [...kept, added.toString()].join("&");
  return url.href;
}

/** What the outcome says must not stand there already: of two values an application may read the first. */
function isForeign(pair: string): boolean {
  const [name] = [...new URLSearchParams(pair).keys()];
  return name !== undefined && !outcomeNames.has(name);
}

const outcomeNames = new Set(["status", "error", "connection_id", "provider", "completion_code"]);

type ReturnOutcome =
  | { readonly status: "success"; readonly completion_code?: string }
  | { readonly status: "error"; readonly error: string };

/** @param completionCode when the credential waits for its confirmation */
function successOf(completionCode: string | undefined): ReturnOutcome {
  return { status: "success", ...(completionCode === undefined ? {} : { completion_code: completionCode }) };
}

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
    const detail = `it names ${printableIssuer(iss)}, and the profile says ${issuer}; if both are the provider's, correct the issuer of the profile`;
    return { reason: "issuer_mismatch", detail };
  }
  if (reason === "state_mismatch") return { reason: "state_verification_failed" };
  if (reason === "keys_unavailable")
    return { reason: "provider_unreachable", detail: "the keys that verify its signed response are missing" };
  return { reason: "invalid_authorization_response", detail: responseWords[reason] };
}

const responseWords: Readonly<
  Record<
    Exclude<
      InvalidResponse["reason"],
      "iss_missing" | "iss_mismatch" | "state_mismatch" | "keys_unavailable"
    >,
    string
  >
> = {
  duplicate_parameter: "it has a parameter twice",
  missing_code: "it has neither a code nor an error",
  malformed_code: "its code has characters that RFC 6749 appendix A.11 does not allow",
  unexpected_parameter: "it has parameters of a flow that was not asked for",
  unsigned_response: "it is not signed, although the request has response_mode=jwt",
  response_signature: "no key of the provider verifies its signature",
  response_claims: "it is for another client, or its time is over",
};

/** Of an error response (RFC 6749 section 4.1.2.1). */
export function errorResponse(error: string, redirectUri: string): ConsentProblem {
  if (error === "access_denied") return { reason: "access_denied" };
  // OpenID Connect Core Unmet Authentication Requirements 1.0 section 2.
  if (error === "unmet_authentication_requirements") return { reason: "authentication_insufficient" };
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
  const { idTokenViolation, clock, network, detail } = failure;
  if (failure.reason === "id_token_verification_failed") {
    const type = "id_token_verification_failed";
    if (clock !== undefined) return { type, reason: "clock_skew", detail: clock };
    return { type, reason: type, detail: failure.detail ?? idTokenWords(idTokenViolation) };
  }
  const type = "token_exchange_failed";
  if (failure.reason === "account_changed") return { type, reason: "account_changed" };
  if (failure.reason === "authentication_insufficient") return { type, reason: failure.reason, detail };
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
