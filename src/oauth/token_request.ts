import * as oauth from "oauth4webapi";
import { tokenHeaderViolation } from "../model/header_name.js";
import { plainOAuth2 } from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import { jsonResponse, withoutEchoes } from "../outbound/json_response.js";
import type { OutboundFetch, OutboundRequest } from "../outbound/outbound_fetch.js";
import type { Clock } from "../runtime/clock.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { clientAuthentication, clientMetadata, type OAuthClient } from "./client_authentication.js";
import { type DpopBinding, DpopRequests } from "./dpop/dpop_requests.js";
import { successHeader } from "./failure.js";
import {
  type AccessTokenViolation,
  adaptTokenAnswer,
  missingAccessToken,
  normaliseTokenResponse,
  type TokenAnswer,
} from "./token_response.js";

/** What every request of a client to its authorization server needs, at whichever endpoint. */
export interface ClientRequest {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  /** What the profile declares; by default the RFCs' own. */
  readonly options?: OAuth2Options | undefined;
  readonly clock: Clock;
  readonly fetch: OutboundFetch;
  readonly signal?: AbortSignal | undefined;
  /** The key of the connection; undefined where none is proved. */
  readonly dpop?: DpopBinding | undefined;
}

/** Calls a request function of the library, with the arguments that all of them take. */
type GrantCall = (
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  authentication: oauth.ClientAuth,
  options: oauth.TokenEndpointRequestOptions,
) => Promise<Response>;

/**
 * Sends one request at the token endpoint.
 *
 * @param isRefresh whether the root of the answer may hold the token, as `adaptTokenAnswer` has it
 */
export function callTokenEndpoint(
  common: ClientRequest,
  call: GrantCall,
  isRefresh = false,
): Promise<TokenAnswer> {
  const { server, client, clock, signal, dpop, options: quirks = plainOAuth2 } = common;
  const htu = server.issuer ?? new URL(server.tokenEndpoint).origin;
  const proofs = dpop && new DpopRequests(dpop, htu, clock);
  const shape = { quirks, nowMs: clock.nowMs(), isRefresh, dpop: proofs };
  return sendTokenRequest(common.fetch, shape, (fetch, proof) =>
    call(server.metadata, clientMetadata(client, clock), clientAuthentication(client), {
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: fetch,
      ...(signal === undefined ? {} : { signal }),
      ...proof,
    }),
  );
}

/** What sending and reading a token request depends on, beside the request. */
interface TokenRequestShape {
  /** What the profile declares. */
  readonly quirks: OAuth2Options;
  readonly nowMs: number;
  /** Whether the root may hold the token, as `adaptTokenAnswer` has it. */
  readonly isRefresh: boolean;
  /** Undefined where no key is proved. */
  readonly dpop?: DpopRequests | undefined;
}

/** The fetch that a request function of the library takes. */
type NormalisingFetch = (url: string, request: OutboundRequest) => Promise<Response>;
/**
 * Stands in for an access token that is missing beside a refresh token: the library refuses a success without one, and the refresh token with
 * it. Never served.
 */
const placeholderAccessToken = "placeholder";

/** The library's option for proofs; empty where no key is proved. */
type ProofOption = { readonly DPoP?: oauth.DPoPHandle };

/**
 * Sends a token request and normalises the answer before the library sees it.
 *
 * @param send calls the library's request function with this fetch and, where it takes one, this proof
 */
export async function sendTokenRequest(
  fetch: OutboundFetch,
  shape: TokenRequestShape,
  send: (normalisingFetch: NormalisingFetch, proof: ProofOption) => Promise<Response>,
): Promise<TokenAnswer> {
  let idToken: string | undefined;
  let metadata: Readonly<Record<string, string>> = {};
  let accessTokenViolation: AccessTokenViolation | undefined;
  let issuedTokenType: string | undefined;
  const sendOnce: NormalisingFetch = async (url, request) => {
    const raw = await fetch(url, { ...adaptTokenRequest(request, shape.quirks, url), isTokenRequest: true });
    shape.dpop?.answered(raw.headers);
    const retryAfter = raw.headers.get("retry-after");
    // A provider that says when to come again has not refused for good.
    const httpStatus = retryAfter === null ? raw.status : undefined;
    const adapted = adaptTokenAnswer(await raw.text(), shape.quirks, { ...shape, httpStatus });
    const normalised = normaliseTokenResponse(raw.status, adapted.bodyText, shape.dpop);
    const { status, body } = normalised;
    accessTokenViolation = normalised.accessTokenViolation;
    issuedTokenType = normalised.issuedTokenType;
    if (status === 200) metadata = adapted.metadata;
    const { id_token, ...rest } = body;
    idToken = id_token;
    const headers = {
      ...(retryAfter === null ? {} : { "retry-after": retryAfter }),
      ...(raw.status < 300 && status >= 400 ? { [successHeader]: "1" } : {}),
    };
    if (accessTokenViolation === missingAccessToken) rest.access_token = placeholderAccessToken;
    shape.dpop?.judged(status, body.error);
    if (rest.error_description !== undefined)
      rest.error_description = withoutEchoes(rest.error_description, request);
    return jsonResponse(rest, { status, headers });
  };
  const proof = shape.dpop ? { DPoP: await shape.dpop.handle() } : {};
  const first = await send(sendOnce, proof);
  // RFC 9449 section 8: the server refused the proof because of its nonce, before it looked at the grant. So neither a refresh token nor a
  // code is used up, and the same request may be sent again. It is still the one attempt in the journal: if this answer is lost, the mark
  // of intent stays. Once only: a server that asks for another nonce again gets an error of the table.
  const response = shape.dpop?.mustSendAgain() === true ? await send(sendOnce, proof) : first;
  return { response, idToken, metadata, accessTokenViolation, issuedTokenType };
}

/**
 * The request as the provider wants it: further headers, a resource (RFC 8707), and JSON instead of a form.
 *
 * @param url of the token endpoint
 */
export function adaptTokenRequest(
  request: OutboundRequest,
  quirks: OAuth2Options,
  url = "",
): OutboundRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = value;
  for (const [name, value] of Object.entries(quirks.tokenHeaders)) {
    if (tokenHeaderViolation(name) === undefined) headers[name.toLowerCase()] = value;
  }
  const isForm = quirks.tokenRequestFormat !== "json";
  const resource = sentResource(quirks, url);
  if (request.body === undefined || (isForm && resource === undefined)) return { ...request, headers };
  const form = new URLSearchParams(request.body.toString());
  if (resource !== undefined) form.set("resource", resource);
  if (isForm) return { ...request, headers, body: form };
  headers["content-type"] = "application/json";
  return { ...request, headers, body: JSON.stringify(Object.fromEntries(form)) };
}

/** Entra's endpoints answer `resource` with AADSTS901002 or AADSTS9010010: they take scopes in its place. */
const refusesResource = /^login\.(partner\.)?microsoftonline\.[a-z]{2,}$/;

/**
 * The `resource` (RFC 8707 section 2) that a request to this endpoint has; undefined when it has none.
 *
 * @param endpoint URL of the authorization or token endpoint
 */
export function sentResource(
  { resource, resourceParameter }: OAuth2Options,
  endpoint: string,
): string | undefined {
  if (resource === "" || resourceParameter === "never") return undefined;
  if (resourceParameter === "always") return resource;
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : "";
  return refusesResource.test(host) ? undefined : resource;
}
