import * as oauth from "oauth4webapi";
import type { TokenSet } from "../model/credentials/credential.js";
import { type NetworkWords, networkWords } from "../outbound/network_words.js";
import { OutboundError } from "../outbound/outbound_fetch.js";
import { parseRetryAfterMs } from "../outbound/retry_after.js";
import { Secret } from "../runtime/secret.js";
import { boundToken, dpopCodes } from "./dpop/dpop_words.js";

/**
 * What a failed grant asks of the caller. `invalid_grant`: the user must consent again. `client`: the provider profile is
 * wrong, not the connection. `transient`: the provider did not redeem anything, try again. `ambiguous`: it may have redeemed the grant, and did not answer.
 * `rejected`: it answered something that cannot be used.
 */
export type GrantFailureKind = "invalid_grant" | "client" | "transient" | "ambiguous" | "rejected";

export type RejectedReason =
  | "id_token_verification_failed"
  | "malformed_response"
  | "account_changed"
  | "authentication_insufficient";

/** Which check of an id_token failed: the claim, or what happened to the signature. */
export type IdTokenRejected =
  | "missing"
  | "malformed"
  | "alg"
  | "iss"
  | "aud"
  | "azp"
  | "exp"
  | "nbf"
  | "nonce"
  | "sub"
  | "iat"
  | "signature"
  /** The set of keys has none of the `kid` that the token names. */
  | "unknown_key"
  | "weak_key"
  | "jwks_unavailable";

export interface GrantFailureFields {
  readonly kind: GrantFailureKind;
  /** RFC 6749 section 5.2, or the provider's own word; `[a-z_]` only. */
  readonly oauthError?: string | undefined;
  readonly httpStatus?: number | undefined;
  /** `Retry-After`, between 1 s and 1 h. */
  readonly retryAfterMs?: number | undefined;
  /** Of kind `rejected`. */
  readonly reason?: RejectedReason | undefined;
  readonly idTokenViolation?: IdTokenRejected | undefined;
  /** What more a log should say of `reason` or `idTokenViolation`, in words of ours. */
  readonly detail?: string | undefined;
  /** Of kind `invalid_grant`: the provider says that consent was withdrawn, not only that the grant is of no use. */
  readonly consentRevoked?: boolean | undefined;
  /** Of kind `transient`: a 4xx that says neither why nor when to come again. */
  readonly isRefusal?: boolean | undefined;
  /** It came with a status of success: `httpStatus` is ours. */
  readonly cameAsSuccess?: boolean | undefined;
  /** No usable answer came: how, as the end of a sentence. */
  readonly network?: NetworkWords | undefined;
  /** The times of the id_token: how they differ from this machine's clock, as the end of a sentence. */
  readonly clock?: string | undefined;
  /** `error_description` as it came. Never printed as it is; a log may have it as `refusalWords` makes it. */
  readonly reportedReason?: Secret | undefined;
  /** Of kind `client`: nothing was sent, because the provider must not be called where it stands. A sentence for an operator. */
  readonly refusal?: string | undefined;
}

const sentences: Readonly<Record<GrantFailureKind, string>> = {
  invalid_grant: "the provider no longer accepts the grant",
  client: "the provider refuses the client or what it asks for",
  transient: "the provider did not process the request",
  ambiguous: "the request was sent and no answer came back",
  rejected: "the answer failed the checks of the protocol",
};

/**
 * A grant that did not yield a token set. Holds no token, no body and no `cause`: errors of `oauth4webapi` carry live
 * tokens in theirs.
 */
export class GrantFailure extends Error {
  readonly kind: GrantFailureKind;
  readonly oauthError: string | undefined;
  readonly httpStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly reason: RejectedReason | undefined;
  readonly idTokenViolation: IdTokenRejected | undefined;
  readonly consentRevoked: boolean;
  readonly refusal: string | undefined;
  readonly reportedReason: Secret | undefined;
  readonly isRefusal: boolean;
  readonly cameAsSuccess: boolean;
  readonly network: NetworkWords | undefined;
  readonly clock: string | undefined;
  readonly detail: string | undefined;

  constructor(fields: GrantFailureFields) {
    const details = [fields.reason, fields.idTokenViolation, fields.oauthError, fields.httpStatus];
    const detail = fields.detail ?? fields.clock ?? fields.network?.words;
    const known = details.filter((each) => each !== undefined).join(" ");
    const words = [known, detail].filter(Boolean).join(": ");
    super(fields.refusal ?? sentences[fields.kind] + (words === "" ? "" : ` (${words})`));
    this.name = "GrantFailure";
    this.kind = fields.kind;
    this.oauthError = fields.oauthError;
    this.httpStatus = fields.httpStatus;
    this.retryAfterMs = fields.retryAfterMs;
    this.reason = fields.reason;
    this.idTokenViolation = fields.idTokenViolation;
    this.consentRevoked = fields.consentRevoked === true;
    this.refusal = fields.refusal;
    this.reportedReason = fields.reportedReason;
    this.isRefusal = fields.isRefusal === true;
    this.cameAsSuccess = fields.cameAsSuccess === true;
    this.network = fields.network;
    this.clock = fields.clock;
    this.detail = fields.detail;
  }

  /** Whether the provider did not accept the client's authentication. */
  get isClientRejected(): boolean {
    const { oauthError = "", httpStatus } = this;
    if (authenticationCodes.has(oauthError) || oauthError === "unauthorized_client") return true;
    return httpStatus === 401 && this.kind !== "invalid_grant" && !dpopCodes.has(oauthError);
  }

  /** Whether the provider demands proof of possession of a key (RFC 9449 sections 5 and 8). */
  get demandsDpop(): boolean {
    return dpopCodes.has(this.oauthError ?? "") || this.detail === boundToken;
  }

  /** A 4xx that does not say "later" by its status, nor is about a proof: after a lost answer it refuses the grant, whatever else it says. */
  get isClientError(): boolean {
    const { httpStatus = 0, cameAsSuccess } = this;
    return httpStatus >= 400 && judgesRequest(httpStatus) && !cameAsSuccess && !this.demandsDpop;
  }

  /** Whether the provider, by refusing the client, may have refused the grant: it knew the client. */
  get mayConcernGrant(): boolean {
    const { kind, httpStatus, oauthError = "" } = this;
    const isAboutGrant = !authenticationCodes.has(oauthError) && !dpopCodes.has(oauthError);
    return kind === "client" && httpStatus !== undefined && isAboutGrant;
  }
}

/** The provider granted, and what it answered cannot be used: the grant is alive there until it is revoked. Its tokens print as `[redacted]`. */
export class UnusableGrant extends GrantFailure {
  constructor(
    fields: GrantFailureFields,
    readonly tokenSet: TokenSet,
    /** `sub` of the id_token, which was not verified. */
    readonly claimedSubject: string | undefined,
  ) {
    super(fields);
  }
}

/**
 * Error codes with a kind of their own. RFC 6749 section 5.2; OpenID Connect Core 1.0 section 3.1.2.6 (a person must
 * act); then words of GitHub and Slack. A code that is not here condemns nothing: `transient`.
 */
const kindByCode: ReadonlyMap<string, GrantFailureKind> = new Map([
  ["invalid_grant", "invalid_grant"],
  ["interaction_required", "invalid_grant"],
  ["login_required", "invalid_grant"],
  ["consent_required", "invalid_grant"],
  ["account_selection_required", "invalid_grant"],
  ["bad_refresh_token", "invalid_grant"],
  ["bad_verification_code", "invalid_grant"],
  ["invalid_refresh_token", "invalid_grant"],
  ["invalid_code", "invalid_grant"],
  ["code_already_used", "invalid_grant"],
  ["token_revoked", "invalid_grant"],
  ["account_inactive", "invalid_grant"],
  ["user_revoked", "invalid_grant"],
  ["authorization_revoked", "invalid_grant"],
  ["consent_revoked", "invalid_grant"],
  ["invalid_client", "client"],
  ["unauthorized_client", "client"],
  ["invalid_scope", "client"],
  ["invalid_request", "client"],
  ["unsupported_grant_type", "client"],
  ["invalid_target", "client"],
  ["redirect_uri_mismatch", "client"],
  ["incorrect_client_credentials", "client"],
  ["invalid_client_id", "client"],
  ["bad_client_secret", "client"],
  ["bad_redirect_uri", "client"],
  // RFC 9449 section 5: the proof, which is made again for each request, and not the grant.
  ["invalid_dpop_proof", "client"],
]);

/** Words that promise a better answer later. */
const passingCodes: ReadonlySet<string> = new Set([
  "temporarily_unavailable",
  "server_error",
  "internal_error",
  "service_unavailable",
  "slow_down",
  "ratelimited",
  "rate_limited",
  "rate_limit_exceeded",
  "use_dpop_nonce",
]);

/** On an answer whose 4xx is the normaliser's, not the provider's: it came with a status of success. */
export const successHeader = "nexus-answered-with-success";

/** Words of the second kind by which client authentication failed: the refresh token was not looked at (RFC 6749 section 5.2). */
const authenticationCodes: ReadonlySet<string> = new Set([
  "invalid_client",
  "incorrect_client_credentials",
  "invalid_client_id",
  "bad_client_secret",
]);

/** Words of the first kind that say why: Slack, OpenID Connect Core 1.0, and what others send. */
const withdrawnCodes: ReadonlySet<string> = new Set([
  "token_revoked",
  "consent_required",
  "account_inactive",
  "user_revoked",
  "authorization_revoked",
  "consent_revoked",
]);

/**
 * Withdrawal in the text beside `invalid_grant`: "revoked" alone (Google's "expired or revoked" says nothing), and
 * AADSTS65001, 65004 and 50173 of Microsoft (no consent, declined, grant revoked).
 */
const withdrawnText = /^(?!.*\bexpired\b).*\b(revoked|withdrawn|AADSTS(65001|65004|50173))\b/is;

/**
 * The table: what went wrong while a token request was made, to what the caller must do about it. The status goes before
 * the code: a provider that is overloaded or broken has judged nothing.
 *
 * @param error an error of the outbound fetch or of `oauth4webapi`, or the token endpoint's answer itself
 * @param nowMs for the date form of `Retry-After`
 */
export function classify(violation: unknown, nowMs: number): GrantFailure {
  if (violation instanceof GrantFailure) return violation;
  if (violation instanceof OutboundError) {
    if (violation.isFault) return new GrantFailure({ kind: "client", refusal: violation.message });
    const { httpStatus = 0 } = violation;
    // A refusal is known from its status alone; a success without its body is a token set that nobody has.
    const refused = httpStatus >= 300 && !losesAnswer(httpStatus);
    const kind = refused || violation.phase === "before_send" ? "transient" : "ambiguous";
    return new GrantFailure({ kind, httpStatus: violation.httpStatus, network: networkWords(violation) });
  }
  if (violation instanceof oauth.ResponseBodyError) {
    return fromAnswer(violation.response, violation.error, nowMs, violation.error_description);
  }
  if (violation instanceof Response) return fromAnswer(violation, undefined, nowMs);
  if (violation instanceof oauth.OperationProcessingError && violation.cause instanceof Response) {
    return fromAnswer(violation.cause, undefined, nowMs);
  }
  return new GrantFailure({ kind: "rejected", reason: "malformed_response" });
}

function fromAnswer(
  response: Response,
  code: string | undefined,
  nowMs: number,
  description?: string,
): GrantFailure {
  const { status: httpStatus } = response;
  if (httpStatus < 300)
    return new GrantFailure({ kind: "rejected", reason: "malformed_response", httpStatus });
  const oauthError = /^[a-z_]{1,64}$/.test(code ?? "") ? code : undefined;
  const judged = judgesRequest(httpStatus);
  const cameAsSuccess = response.headers.has(successHeader);
  const isLost = losesAnswer(httpStatus) && !cameAsSuccess;
  const byCode = judged && oauthError !== undefined ? kindByCode.get(oauthError) : undefined;
  const kind = byCode ?? (isLost ? "ambiguous" : "transient");
  const retryAfterMs = byCode ? undefined : parseRetryAfterMs(response.headers.get("retry-after"), nowMs);
  const promisesMore = retryAfterMs !== undefined || passingCodes.has(oauthError ?? "");
  const isRefusal = kind === "transient" && judged && httpStatus >= 400 && !promisesMore && !cameAsSuccess;
  const consentRevoked =
    kind === "invalid_grant" &&
    (withdrawnCodes.has(oauthError ?? "") || withdrawnText.test(description?.slice(0, 1000) ?? ""));
  return new GrantFailure({
    ...{ kind, oauthError, httpStatus, retryAfterMs, consentRevoked, isRefusal, cameAsSuccess },
    reportedReason: description === undefined ? undefined : new Secret(description),
    detail: isLost
      ? "a gateway responded in the provider's place"
      : cameAsSuccess && httpStatus === 502
        ? "a page of HTML, where JSON is expected"
        : undefined,
  });
}

/**
 * Whether the status says that the request was passed on and its answer was lost, so that the provider may have processed it. See RFC 9110
 * sections 15.5.9, 15.6.3 and 15.6.5; 520 to 529 are those of Cloudflare and others. 429 and 503 refuse to process it.
 */
function losesAnswer(httpStatus: number): boolean {
  return [408, 502, 504].includes(httpStatus) || (httpStatus >= 520 && httpStatus <= 529);
}

function judgesRequest(httpStatus: number): boolean {
  return httpStatus < 500 && ![408, 425, 429].includes(httpStatus);
}
