import { inspect } from "node:util";
import * as oauth from "oauth4webapi";
import { describe, expect, test } from "vitest";
import { classify, GrantFailure } from "../../src/oauth/failure.js";
import { OutboundError } from "../../src/outbound/outbound_fetch.js";

const nowMs = Date.UTC(2026, 0, 1, 12, 0, 0);
const canary = "canary-4711";

/** As the library raises it, with everything that it holds on to. */
function answered(
  status: number,
  error: string,
  headers: Record<string, string> = {},
): oauth.ResponseBodyError {
  const response = Response.json({ error, refresh_token: canary }, { status, headers });
  return new oauth.ResponseBodyError("server responded with an error in the response body", {
    cause: { error, error_description: canary, refresh_token: canary },
    response,
  });
}

describe("OAuth errors", () => {
  test.each<[status: number, error: string, kind: string]>([
    [400, "invalid_grant", "invalid_grant"],
    [401, "invalid_grant", "invalid_grant"],
    [403, "invalid_grant", "invalid_grant"],
    [400, "bad_refresh_token", "invalid_grant"],
    [400, "bad_verification_code", "invalid_grant"],
    [400, "invalid_refresh_token", "invalid_grant"],
    [400, "interaction_required", "invalid_grant"],
    [400, "consent_required", "invalid_grant"],
    [401, "invalid_client", "client"],
    [400, "invalid_client", "client"],
    [400, "unauthorized_client", "client"],
    [400, "invalid_scope", "client"],
    [400, "invalid_request", "client"],
    [400, "unsupported_grant_type", "client"],
    [400, "redirect_uri_mismatch", "client"],
    [400, "incorrect_client_credentials", "client"],
    [400, "temporarily_unavailable", "transient"],
    [400, "server_error", "transient"],
    [400, "slow_down", "transient"],
    [400, "ratelimited", "transient"],
    [400, "access_denied", "transient"],
    [400, "who_knows", "transient"],
    // The status goes first.
    [408, "invalid_grant", "ambiguous"],
    [425, "invalid_grant", "transient"],
    [429, "invalid_grant", "transient"],
    [500, "invalid_grant", "transient"],
    [502, "invalid_grant", "ambiguous"],
    [503, "invalid_client", "transient"],
    [504, "invalid_client", "ambiguous"],
  ])("%d %s: %s", (httpStatus, oauthError, kind) => {
    expect(classify(answered(httpStatus, oauthError), nowMs)).toMatchObject({ kind, oauthError, httpStatus });
  });

  test.each([
    `invalid_grant ${canary}`,
    "INVALID_GRANT",
    "invalid_grant\n",
    canary,
    "a".repeat(65),
    "ä",
    "<b>",
  ])("the code %j is not believed", (error) => {
    const failure = classify(answered(400, error), nowMs);
    expect(failure).toMatchObject({ kind: "transient", oauthError: undefined });
  });
});

describe("withdrawn consent", () => {
  test.each<[error: string, description: string | undefined, withdrawn: boolean]>([
    ["invalid_grant", undefined, false],
    ["invalid_grant", "Token has been expired or revoked.", false],
    ["invalid_grant", "The user revoked access", true],
    ["invalid_grant", "AADSTS65001: The user or administrator has not consented", true],
    ["invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.", false],
    ["token_revoked", undefined, true],
    ["consent_required", undefined, true],
    ["invalid_client", "revoked", false],
  ])("%s, %s: %s", (error, error_description, withdrawn) => {
    const raised = new oauth.ResponseBodyError("m", {
      cause: { error, ...(error_description === undefined ? {} : { error_description }) },
      response: Response.json({}, { status: 400 }),
    });
    const failure = classify(raised, nowMs);
    expect(failure.consentRevoked).toBe(withdrawn);
    expect(inspect(failure)).not.toContain(error_description ?? canary);
  });
});

describe("answers without an OAuth error", () => {
  test.each<[status: number, kind: string]>([
    [400, "transient"],
    [401, "transient"],
    [403, "transient"],
    [404, "transient"],
    // What stands before the provider has lost its answer.
    [408, "ambiguous"],
    [425, "transient"],
    [429, "transient"],
    [500, "transient"],
    [502, "ambiguous"],
    [503, "transient"],
    [504, "ambiguous"],
    [520, "ambiguous"],
    [524, "ambiguous"],
    [529, "ambiguous"],
    [530, "transient"],
    [200, "rejected"],
  ])("%d: %s", (httpStatus, kind) => {
    const response = new Response(`<html>${canary}`, { status: httpStatus });
    const raised = new oauth.OperationProcessingError("not conform", {
      cause: response,
      code: oauth.RESPONSE_IS_NOT_CONFORM,
    });
    expect(classify(response, nowMs)).toMatchObject({ kind, httpStatus });
    expect(classify(raised, nowMs)).toMatchObject({ kind, httpStatus });
  });

  test.each([
    new oauth.OperationProcessingError("no access_token", { cause: { body: { refresh_token: canary } } }),
    new oauth.UnsupportedOperationError("token_type", { cause: { body: { access_token: canary } } }),
    new TypeError(canary),
    canary,
    undefined,
  ])("what nobody foresaw is a malformed response, number %#", (violation) => {
    expect(classify(violation, nowMs)).toMatchObject({ kind: "rejected", reason: "malformed_response" });
  });
});

describe("a refusal that does not say why", () => {
  test.each<[status: number, error: string | undefined, headers: Record<string, string>, is: boolean]>([
    [400, undefined, {}, true],
    [401, undefined, {}, true],
    [403, undefined, {}, true],
    [404, undefined, {}, true],
    [400, "who_knows", {}, true],
    [400, "temporarily_unavailable", {}, false],
    [403, undefined, { "retry-after": "30" }, false],
    [400, undefined, { "nexus-answered-with-success": "1" }, false],
    [408, undefined, {}, false],
    [425, undefined, {}, false],
    [429, undefined, {}, false],
    [302, undefined, {}, false],
    [500, undefined, {}, false],
    [400, "invalid_grant", {}, false],
    [401, "invalid_client", {}, false],
  ])("%d %s %j: %s", (status, error, headers, is) => {
    const violation =
      error === undefined ? new Response("", { status, headers }) : answered(status, error, headers);
    expect(classify(violation, nowMs).isRefusal).toBe(is);
  });
});

describe("no answer", () => {
  test.each<[violation: OutboundError, kind: string]>([
    [new OutboundError("network", "before_send", "h", "ECONNREFUSED"), "transient"],
    [new OutboundError("timeout", "before_send", "h"), "transient"],
    [new OutboundError("aborted", "before_send", "h"), "transient"],
    [new OutboundError("forbidden_url", "before_send", "h"), "client"],
    [new OutboundError("forbidden_address", "before_send", "h"), "client"],
    [new OutboundError("network", "after_send", "h", "ECONNRESET"), "ambiguous"],
    [new OutboundError("timeout", "after_send", "h"), "ambiguous"],
    [new OutboundError("aborted", "after_send", "h"), "ambiguous"],
    [new OutboundError("too_large", "after_send", "h", undefined, 200), "ambiguous"],
    [new OutboundError("timeout", "after_send", "h", undefined, 200), "ambiguous"],
    [new OutboundError("redirect", "after_send", "h", undefined, 302), "transient"],
    [new OutboundError("network", "after_send", "h", "ECONNRESET", 503), "transient"],
    [new OutboundError("too_large", "after_send", "h", undefined, 500), "transient"],
    [new OutboundError("network", "after_send", "h", "ECONNRESET", 504), "ambiguous"],
  ])("%s", (violation, kind) => {
    expect(classify(violation, nowMs)).toMatchObject({ kind, httpStatus: violation.httpStatus });
  });
});

test("Retry-After counts where the same request may be sent again", () => {
  const headers = { "retry-after": "30" };
  expect(classify(answered(429, "slow_down", headers), nowMs).retryAfterMs).toBe(30_000);
  expect(classify(new Response("", { status: 503, headers }), nowMs).retryAfterMs).toBe(30_000);
  expect(classify(new Response("", { status: 504, headers }), nowMs).retryAfterMs).toBe(30_000);
  expect(classify(answered(400, "invalid_grant", headers), nowMs).retryAfterMs).toBeUndefined();
});

test("a failure passes through as it is", () => {
  const failure = new GrantFailure({ kind: "ambiguous" });
  expect(classify(failure, nowMs)).toBe(failure);
});

test("a failure says what happened and holds nothing else", () => {
  const failure = classify(answered(400, "invalid_grant"), nowMs);
  expect(failure.message).toBe("the provider no longer accepts the grant (invalid_grant 400)");
  expect(failure.cause).toBeUndefined();
  expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain(canary);
  expect(JSON.stringify(failure)).not.toContain(canary);
});

test("a failure without a code or status says its cause alone", () => {
  const failure = new GrantFailure({ kind: "transient", detail: "the name idp.example does not resolve" });
  expect(failure.message).toBe(
    "the provider did not process the request (the name idp.example does not resolve)",
  );
});
