import * as oauth from "oauth4webapi";
import type { TokenTypeHint } from "../../model/connections/revocation.js";
import { parseJsonObject } from "../../model/json_object.js";
import type { OutboundResponse } from "../../outbound/outbound_exchange.js";
import { OutboundError } from "../../outbound/outbound_fetch.js";
import { parseRetryAfterMs } from "../../outbound/retry_after.js";
import type { Secret } from "../../runtime/secret.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { GrantFailure } from "../failure.js";
import type { ClientRequest } from "../token_request.js";

export interface Revocation extends ClientRequest {
  /** RFC 7009 section 2. */
  readonly endpoint: string;
  readonly token: Secret;
  readonly tokenTypeHint: TokenTypeHint;
}

export type RevocationOutcome =
  /** The token is dead. */
  | { readonly kind: "revoked" }
  /** The provider will never revoke it. `reason` is its error code. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It was not asked, did not answer, or cannot answer now. */
  | { readonly kind: "retry"; readonly reason: string; readonly retryAfterMs: number | undefined };

/**
 * Codes by which providers say that there is nothing left to revoke. RFC 7009 section 2.2 wants 200 there: "the purpose of the
 * revocation request, invalidating the particular token, is already achieved".
 */
const deadTokenCodes = new Set(["invalid_token", "invalid_grant", "token_revoked", "bad_refresh_token"]);

/** Asks the provider to revoke a token (RFC 7009 section 2.1). Repeating it is safe. */
export async function revoke(revocation: Revocation): Promise<RevocationOutcome> {
  try {
    const response = await sendRevocation(revocation);
    return processRevocation(response.status, await response.text(), {
      retryAfterMs: parseRetryAfterMs(response.headers.get("retry-after"), revocation.clock.nowMs()),
    });
  } catch (violation) {
    if (violation instanceof OutboundError) {
      if (violation.isForbidden) return { kind: "refused", reason: violation.reason };
      return { kind: "retry", reason: violation.reason, retryAfterMs: undefined };
    }
    if (violation instanceof GrantFailure) {
      return { kind: "retry", reason: violation.oauthError ?? violation.kind, retryAfterMs: undefined };
    }
    throw violation;
  }
}

async function sendRevocation(revocation: Revocation): Promise<OutboundResponse> {
  const { server, endpoint, client, clock, token, tokenTypeHint, fetch, signal } = revocation;
  let response: OutboundResponse | undefined;
  const answered = await oauth.revocationRequest(
    { ...server.metadata, revocation_endpoint: endpoint },
    clientMetadata(client, clock),
    clientAuthentication(client),
    token.reveal(),
    {
      additionalParameters: { token_type_hint: tokenTypeHint },
      [oauth.allowInsecureRequests]: true,
      // The library hands on what it gets, and demands a `Response`.
      [oauth.customFetch]: async (url, request) => {
        response = await fetch(url, request);
        return new Response();
      },
      ...(signal === undefined ? {} : { signal }),
    },
  );
  return response ?? answered;
}

/**
 * RFC 7009 section 2.2. Any success will do, where `oauth4webapi` wants 200 exactly. Of the failures only a 400 with a code judges the
 * token; a client that is refused can be fixed in the profile, everything else in time.
 */
export function processRevocation(
  status: number,
  body: string,
  { retryAfterMs }: { readonly retryAfterMs: number | undefined },
): RevocationOutcome {
  if (status >= 200 && status < 300) return { kind: "revoked" };
  const code = errorCode(body);
  if (status === 400 && code !== undefined && code !== "invalid_client") {
    return deadTokenCodes.has(code) ? { kind: "revoked" } : { kind: "refused", reason: code };
  }
  return { kind: "retry", reason: code ?? `status_${status}`, retryAfterMs };
}

function errorCode(body: string): string | undefined {
  const error = parseJsonObject(body)?.["error"];
  return typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? error : undefined;
}
