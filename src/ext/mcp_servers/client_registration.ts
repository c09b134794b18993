import * as oauth from "oauth4webapi";
import { parseJsonObject } from "../../model/model.js";
import type { TokenEndpointAuthMethod } from "../../model/providers/providers.js";
import { type AuthorizationRequest, type AuthorizationServer, authorizationUrl } from "../../oauth/oauth.js";
import {
  jsonResponse,
  OutboundError,
  type OutboundFetch,
  type OutboundRequest,
  type OutboundResponse,
} from "../../outbound/outbound.js";
import { Secret } from "../../runtime/runtime.js";
import type { ClientMetadata } from "./client_metadata.js";

/** A client as the authorization server knows it (RFC 7591 section 3.2.1). */
export interface RegisteredClient {
  readonly clientId: string;
  /** Undefined for a public client. */
  readonly clientSecret: Secret | undefined;
  readonly method: TokenEndpointAuthMethod;
  readonly secretExpiresAtMs: number | undefined;
  /** RFC 7592 section 3; undefined unless the server gave both. */
  readonly management: { readonly url: string; readonly accessToken: Secret } | undefined;
}

/** The server did not register the client, for a person: its word, or what is wrong with its answer. */
export class RegistrationRefused extends Error {
  /** @param oauthError of RFC 7591 section 3.2.2, where it is one */
  constructor(
    message: string,
    readonly oauthError?: string,
  ) {
    super(message);
  }
}

/** The server judged nothing: it is overloaded or broken, and may register the client later. */
export class RegistrationPutOff extends Error {
  constructor(
    readonly httpStatus: number,
    /** As the server sent it. */
    readonly retryAfter: string | null,
  ) {
    super(`HTTP status ${httpStatus}`);
  }
}

const maxBytes = 64 * 1024;
/** The year 10000: what ends later does not end, and could not be stored. */
const endOfTimeMs = 253_402_300_800_000;

/**
 * Registers a client (RFC 7591 section 3). Each call makes a client: it is never repeated by itself.
 *
 * @throws RegistrationRefused; RegistrationPutOff; OutboundError
 */
export async function registerClient(
  server: AuthorizationServer,
  metadata: ClientMetadata,
  outbound: OutboundFetch,
): Promise<RegisteredClient> {
  const body = JSON.parse(JSON.stringify(metadata)) as Partial<oauth.OmitSymbolProperties<oauth.Client>>;
  const response = await oauth.dynamicClientRegistrationRequest(server.metadata, body, {
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: async (url, init) =>
      normalised(await outbound(url, { ...(init as unknown as OutboundRequest), maxBytes })),
  });
  try {
    return clientOf(server, metadata, await oauth.processDynamicClientRegistrationResponse(response));
  } catch (error) {
    throw refusalOf(error);
  }
}

/**
 * Reads the registration (RFC 7592 section 2.1).
 *
 * @returns undefined when the server does not know the client any more, which it says by 401 alone
 * @throws RegistrationRefused; RegistrationPutOff; OutboundError
 */
export async function readRegistration(
  server: AuthorizationServer,
  metadata: ClientMetadata,
  management: NonNullable<RegisteredClient["management"]>,
  outbound: OutboundFetch,
): Promise<RegisteredClient | undefined> {
  const response = await outbound(management.url, { ...managed(management), method: "GET", maxBytes });
  if (response.status === 401) return undefined;
  try {
    const answer = await normalised(response);
    const client = clientOf(server, metadata, await oauth.processDynamicClientRegistrationResponse(answer));
    return { ...client, management: client.management ?? management };
  } catch (error) {
    throw refusalOf(error);
  }
}

/** Ends the registration (RFC 7592 section 2.3). @returns whether the server took it @throws OutboundError */
export async function deleteRegistration(
  management: NonNullable<RegisteredClient["management"]>,
  outbound: OutboundFetch,
): Promise<boolean> {
  const { status } = await outbound(management.url, { ...managed(management), method: "DELETE", maxBytes });
  return status === 204 || status === 200 || status === 404;
}

function managed({ accessToken }: NonNullable<RegisteredClient["management"]>) {
  return { headers: { accept: "application/json", authorization: `Bearer ${accessToken.reveal()}` } };
}

/** Servers answer 200 for 201, and leave out when a secret ends that does not end. */
async function normalised(raw: OutboundResponse): Promise<Response> {
  if (isPutOff(raw.status)) throw new RegistrationPutOff(raw.status, raw.headers.get("retry-after"));
  const body = parseJsonObject(await raw.text());
  const isSuccess = raw.status === 200 || raw.status === 201;
  if (!isSuccess) return jsonResponse(body ?? {}, { status: raw.status });
  const { client_secret, client_secret_expires_at: expiresAt, ...rest } = body ?? {};
  const secret =
    typeof client_secret === "string" && client_secret !== ""
      ? { client_secret, client_secret_expires_at: Number(expiresAt ?? 0) || 0 }
      : {};
  return jsonResponse({ ...rest, ...secret }, { status: 201 });
}

/** 501 says for good that there is no such thing (RFC 9110 section 15.6.2). */
function isPutOff(status: number): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && status !== 501);
}

function clientOf(
  server: AuthorizationServer,
  metadata: ClientMetadata,
  client: oauth.OmitSymbolProperties<oauth.Client>,
): RegisteredClient {
  const { client_id: clientId, client_secret: secret, token_endpoint_auth_method: registered } = client;
  const wanted = metadata.token_endpoint_auth_method;
  const method = registered ?? (typeof secret === "string" ? wanted : "none");
  const isByKey = method === "private_key_jwt" && metadata.jwks_uri !== undefined;
  if (!isByKey && !isOwnMethod(method)) {
    throw new RegistrationRefused("it registers the client for an authentication that nexusd does not have");
  }
  const isBySecret = !isByKey && method !== "none";
  if (isBySecret && typeof secret !== "string") {
    throw new RegistrationRefused("it registers the client for a secret, and gives none");
  }
  if (!/^[\x20-\x7e]{1,1024}$/.test(clientId))
    throw new RegistrationRefused("it answers no client_id that can be sent");
  const secretEndMs = Math.round(Number(client["client_secret_expires_at"] ?? 0) * 1_000);
  const hasEnd = isBySecret && secretEndMs > 0 && secretEndMs < endOfTimeMs;
  return {
    clientId,
    clientSecret: isBySecret && typeof secret === "string" ? new Secret(secret) : undefined,
    method: isByKey ? "private_key_jwt" : method,
    secretExpiresAtMs: hasEnd ? secretEndMs : undefined,
    management: managementOf(server, client),
  };
}

/** Of the origin of the registration endpoint, or of the issuer: the registration access token goes nowhere else. */
function managementOf(
  { issuer, announced }: AuthorizationServer,
  client: Readonly<Record<string, unknown>>,
): RegisteredClient["management"] {
  const { registration_client_uri: url, registration_access_token: token } = client;
  if (typeof url !== "string" || typeof token !== "string" || !URL.canParse(url)) return undefined;
  if (!/^[\x21-\x7e]{1,16384}$/.test(token) || url.length > 2_048) return undefined;
  const { origin } = new URL(url);
  const own = [issuer, announced.registrationEndpoint].map((each) => each && new URL(each).origin);
  return own.includes(origin) ? { url, accessToken: new Secret(token) } : undefined;
}

function isOwnMethod(method: unknown): method is TokenEndpointAuthMethod {
  return method === "client_secret_basic" || method === "client_secret_post" || method === "none";
}

/** Nothing that the server wrote but its error word: its texts may hold anything. */
function refusalOf(error: unknown): Error {
  const isOurs = error instanceof RegistrationRefused || error instanceof RegistrationPutOff;
  if (isOurs || error instanceof OutboundError) return error;
  if (error instanceof oauth.ResponseBodyError) {
    const word = /^[a-z_]{1,64}$/.test(error.error) ? error.error : "an error";
    return new RegistrationRefused(`it answers ${word} (HTTP status ${error.status})`, word);
  }
  return new RegistrationRefused("its answer is no registration (RFC 7591 section 3.2)");
}

/**
 * Whether the authorization endpoint answers a request by an error page, or by a redirect to one: it does not know the client (RFC 6749
 * section 4.1.2.1), or serves nobody. What cannot be asked says neither.
 */
export async function isTurnedAway(request: AuthorizationRequest, outbound: OutboundFetch): Promise<boolean> {
  try {
    const headers = { accept: "text/html" };
    const answer = await outbound(authorizationUrl(request), { method: "GET", headers, takesRedirect: true });
    const location = answer.headers.get("location") ?? "";
    const isToErrorPage = /[?&]error=/.test(location) && !location.startsWith(request.redirectUri);
    return answer.status >= 400 || isToErrorPage;
  } catch (error) {
    if (error instanceof OutboundError) return false;
    throw error;
  }
}
