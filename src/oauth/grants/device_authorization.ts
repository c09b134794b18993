import * as oauth from "oauth4webapi";
import { parseJsonObject } from "../../model/json_object.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { jsonResponse } from "../../outbound/json_response.js";
import type { OutboundResponse } from "../../outbound/outbound_exchange.js";
import type { OutboundRequest } from "../../outbound/outbound_fetch.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { classify, GrantFailure } from "../failure.js";
import type { ClientRequest } from "../token_request.js";
import { normaliseTokenResponse } from "../token_response.js";

export interface DeviceCodeRequest extends ClientRequest {
  readonly endpoint: string;
  readonly scopes: readonly string[];
  /** RFC 7636 section 4.2; undefined where the server does not announce PKCE. */
  readonly codeChallenge: string | undefined;
}

/** The code for the user, and the one that the daemon redeems (RFC 8628 section 3.2). */
export interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | undefined;
  readonly expiresInMs: number;
  readonly intervalMs: number;
}

/** RFC 8628 section 3.5: where the server names none. */
const defaultIntervalSeconds = 5;
/** A person who is asked for a code does not wait longer. */
const maxIntervalSeconds = 60;
const maxExpiresInSeconds = 60 * 60;
/** What a person can copy by hand, and a page can show. */
const maxUserCodeLength = 64;
const maxUriLength = 2_048;

/**
 * Asks for a device code (RFC 8628 section 3.1); a confidential client authenticates as at the token endpoint.
 *
 * @throws GrantFailure
 */
export async function authorizeDevice(request: DeviceCodeRequest): Promise<DeviceAuthorization> {
  const { server, client, clock, endpoint } = request;
  const metadata = { ...server.metadata, device_authorization_endpoint: endpoint };
  try {
    const response = await send(request, metadata);
    const answer = await oauth.processDeviceAuthorizationResponse(
      metadata,
      clientMetadata(client, clock),
      response,
    );
    return authorizationOf(answer);
  } catch (violation) {
    throw classify(violation, clock.nowMs());
  }
}

async function send(
  { client, clock, scopes, codeChallenge, fetch, signal, ...request }: DeviceCodeRequest,
  metadata: oauth.AuthorizationServer,
): Promise<Response> {
  const options = request.options ?? plainOAuth2;
  const params = new URLSearchParams(options.skipScopeOnAuth ? {} : { scope: scopes.join(" ") });
  // In the form, however the client authenticates: some servers look for it nowhere else (django-allauth).
  params.set("client_id", client.clientId);
  if (codeChallenge !== undefined) {
    params.set("code_challenge", codeChallenge);
    params.set("code_challenge_method", "S256");
  }
  return await oauth.deviceAuthorizationRequest(
    metadata,
    clientMetadata(client, clock),
    clientAuthentication(client),
    params,
    {
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (url: string, sent: OutboundRequest) => normalised(await fetch(url, sent)),
      ...(signal === undefined ? {} : { signal }),
    },
  );
}

async function normalised(raw: OutboundResponse): Promise<Response> {
  const text = await raw.text();
  const { status, body } = normaliseTokenResponse(raw.status, text);
  const retryAfter = raw.headers.get("retry-after");
  const headers = retryAfter === null ? {} : { "retry-after": retryAfter };
  return jsonResponse(status === 200 ? membersOf(text) : body, { status, headers });
}

/** The members as section 3.2 has them: Google's `verification_url` under its name, an interval that is none left out, lifetimes as numbers. */
function membersOf(text: string): Record<string, unknown> {
  const { verification_url, verification_url_complete, interval, expires_in, ...rest } =
    parseJsonObject(text) ?? {};
  const seconds = Number(interval);
  const lifetime = Number(expires_in);
  return {
    ...(verification_url === undefined ? {} : { verification_uri: verification_url }),
    ...(verification_url_complete === undefined
      ? {}
      : { verification_uri_complete: verification_url_complete }),
    ...rest,
    ...(Number.isFinite(seconds) && seconds > 0 ? { interval: seconds } : {}),
    ...(Number.isFinite(lifetime) ? { expires_in: lifetime } : {}),
  };
}

function authorizationOf(answer: oauth.DeviceAuthorizationResponse): DeviceAuthorization {
  const { user_code: userCode, verification_uri: verificationUri } = answer;
  const complete = answer.verification_uri_complete;
  const isShowable = /^[\x20-\x7e]+$/.test(userCode) && userCode.length <= maxUserCodeLength;
  if (!isShowable || !isPage(verificationUri) || (complete !== undefined && !isPage(complete))) {
    const detail = "its user code or its page is none that a person can be shown";
    throw new GrantFailure({ kind: "rejected", reason: "malformed_response", detail });
  }
  const interval = Math.min(answer.interval ?? defaultIntervalSeconds, maxIntervalSeconds);
  return {
    deviceCode: answer.device_code,
    userCode,
    verificationUri,
    verificationUriComplete: complete,
    expiresInMs: Math.min(answer.expires_in, maxExpiresInSeconds) * 1_000,
    intervalMs: Math.ceil(interval * 1_000),
  };
}

function isPage(text: string): boolean {
  if (text.length > maxUriLength || !/^[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && username === "" && password === "";
}
