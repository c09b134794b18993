import * as oauth from "oauth4webapi";
import { isTenantIssuer } from "../model/credentials/tenant_issuer.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { claimsOf } from "./jwt.js";

export type AuthorizationResponse =
  /** `params` goes to `exchangeCode` as it is: the library knows it again by identity. */
  | { readonly kind: "code"; readonly params: URLSearchParams }
  /** RFC 6749 section 4.1.2.1. */
  | { readonly kind: "error"; readonly error: string }
  | InvalidResponse;

/** @see processAuthorizationResponse */
export interface InvalidResponse {
  readonly kind: "invalid";
  readonly reason: InvalidResponseReason;
  /** The issuer that the answer names, of `iss_mismatch`: text of an unknown sender. */
  readonly iss?: string;
}

export type InvalidResponseReason =
  | "iss_mismatch"
  | "iss_missing"
  | "state_mismatch"
  | "duplicate_parameter"
  | "missing_code"
  | "malformed_code"
  | "unexpected_parameter"
  /** Of a response that must be a JWT (JARM). */
  | "unsigned_response"
  | "response_signature"
  | "response_claims"
  | "keys_unavailable";

/** Parameters of flows that were not asked for: JARM, implicit, and hybrid. */
const foreignParams = ["response", "id_token", "token", "access_token"];

/** RFC 6749 appendix A.11. What is no UTF-8 was decoded to U+FFFD. */
const codeSyntax = /^[\x20-\x7e]+$/;

/** Whether the response must be a JWT of the server (JARM). */
export function signsResponse(
  server: Pick<AuthorizationServer, "signsResponses">,
  { responseMode }: Pick<OAuth2Options, "responseMode">,
): boolean {
  return responseMode === "jwt" || server.signsResponses;
}

/** `state` of a response, whose signature is not verified. */
export function stateOf(query: URLSearchParams): string {
  const state = query.get("state");
  if (state !== null) return state;
  const signed = claimsOf(query.get("response") ?? "")?.["state"];
  return typeof signed === "string" ? signed : "";
}

/**
 * Judges what the browser brought back (RFC 6749 section 4.1.2, RFC 9207 section 2.4). An error response passes the same
 * checks of `state` and `iss` before its error is believed. Parameters without a value count as absent (RFC 6749 section
 * 3.1), repeated ones are refused (ibid.). `iss` is compared as identical strings; when the profile knows no issuer there
 * is nothing to compare with and it is ignored.
 */
export function processAuthorizationResponse(
  server: AuthorizationServer,
  clientId: string,
  query: URLSearchParams,
  expectedState: string,
): AuthorizationResponse {
  const params = new URLSearchParams();
  for (const [name, value] of query) {
    if (query.getAll(name).length > 1) return invalid("duplicate_parameter");
    if (value !== "") params.set(name, value);
  }
  if (expectedState === "" || params.get("state") !== expectedState) return invalid("state_mismatch");
  if (server.issuer === undefined) params.delete("iss");
  const iss = params.get("iss");
  if (iss === null && server.issParameterSupported) return invalid("iss_missing");
  if (iss !== null && !isIssuer(iss, server)) return { ...invalid("iss_mismatch"), iss };
  if (foreignParams.some((name) => params.has(name))) return invalid("unexpected_parameter");
  const error = params.get("error");
  if (error !== null) return { kind: "error", error: sanitised(error) };
  const code = params.get("code");
  if (code === null) return invalid("missing_code");
  if (!codeSyntax.test(code)) return invalid("malformed_code");
  try {
    const metadata = { ...server.metadata, ...(iss !== null && { issuer: iss }) };
    return {
      kind: "code",
      params: oauth.validateAuthResponse(metadata, { client_id: clientId }, params, expectedState),
    };
  } catch {
    return invalid("unexpected_parameter");
  }
}

function isIssuer(iss: string, { issuer, tenantIssuer }: AuthorizationServer): boolean {
  return iss === issuer || (tenantIssuer !== undefined && isTenantIssuer(tenantIssuer, iss));
}

function invalid(reason: InvalidResponseReason): InvalidResponse {
  return { kind: "invalid", reason };
}

function sanitised(error: string): string {
  return /^[a-z_]{1,64}$/.test(error) ? error : "authorization_failed";
}
