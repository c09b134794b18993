import { clientViolations } from "../clients/client_proof.js";
import type { ClientRegistration } from "../credentials/client_registration.js";
import type { SealedRecord } from "../credentials/credential.js";
import { hmacAlgos, hmacEncodings, type StrategyKind } from "../credentials/strategy.js";
import type { FieldViolation } from "../errors.js";
import { headerNameViolation, tokenHeaderViolation } from "../header_name.js";
import { isId } from "../ids.js";
import { isUnattended } from "./grant_type.js";
import type { AuthType, ProviderSettings } from "./profile_settings.js";
import { textViolations } from "./profile_texts.js";
import { userInfoUrl } from "./user_info.js";

export { authTypes, grantTypes, tokenEndpointAuthMethods } from "./profile_fields.js";
export type {
  AuthType,
  GrantTypeName,
  ProviderSettings,
  TokenEndpointAuthMethod,
} from "./profile_settings.js";

/** Which strategies fit a type; the first is the default one. */
export const strategiesOfType: Readonly<Record<AuthType, readonly StrategyKind[]>> = {
  oauth2: ["oauth2"],
  api_key: ["header", "query_param"],
  basic_auth: ["basic_auth"],
  header: ["header"],
  query_param: ["query_param"],
  hmac_payload: ["hmac_payload"],
  aws_sigv4: ["aws_sigv4"],
};

/** A profile as it was after one of its changes. */
export interface ProfileVersion {
  readonly id: string;
  /** Counts the changes of this profile, from 1. */
  readonly version: bigint;
}

/** A provider profile as stored. */
export interface ProviderProfile extends ProviderSettings, ProfileVersion {
  readonly clientSecret: SealedRecord | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Path of its redirect URI below the public URL, decided when it was created; empty unless a person consents there. */
  readonly redirectPath: string;
  /** How the daemon made the client known at the authorization server; undefined when a person did. */
  readonly registration?: ClientRegistration | undefined;
}

/** How a request names a profile. */
export type ProviderKey = { readonly id: string } | { readonly name: string };

export const namePattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** Names are looked up trimmed and lower-cased. */
export function canonicalName(name: string): string {
  return name.trim().toLowerCase();
}

/** Parameters that the protocol sets itself (RFC 6749, RFC 7636, OpenID Connect Core, RFC 9101, RFC 9126, RFC 9449). */
export const protocolParams: ReadonlySet<string> = new Set([
  "client_id",
  "client_secret",
  "code_challenge",
  "code_challenge_method",
  "code_verifier",
  "dpop_jkt",
  "nonce",
  "redirect_uri",
  "request",
  "request_uri",
  "response_mode",
  "response_type",
  "scope",
  "state",
]);

/** Those of a token request (RFC 6749 sections 4.1.3 and 6, RFC 7521 sections 4.1 and 4.2). */
const grantParams = new Set([
  "grant_type",
  "assertion",
  "code",
  "refresh_token",
  "client_assertion",
  "client_assertion_type",
]);

/** Whether plain http is acceptable: only to this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function endpointViolation(text: string, allowQuery: boolean): string | undefined {
  // A parser would drop some of these and take others for what they are not.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f\\]/.test(text))
    return "must not hold white space, control characters or backslashes";
  if (!URL.canParse(text)) return "must be an absolute URL";
  const url = new URL(text);
  const plain = url.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !plain) return "must be an https URL (http only on loopback)";
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  if (text.includes("#")) return "must not have a fragment";
  if (!allowQuery && text.includes("?")) return "must not have a query";
  return undefined;
}

/** For the author of the profile, when its scopes bring an id_token that nothing verifies. */
export function unverifiedIdTokenNote(settings: ProviderSettings): string | undefined {
  if (settings.authType !== "oauth2" || settings.issuer !== "" || !settings.scopes.includes("openid"))
    return undefined;
  return "the id_token is not relied on, because the profile names no issuer to verify it by";
}

/** Every error of a profile, each by its field. `hasSecret` says whether a client secret is or will be stored. */
export function providerViolations(settings: ProviderSettings, hasSecret: boolean): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const violation: ProfileViolation = (field, description) => {
    if (description !== undefined) violations.push({ field: `provider.${field}`, description });
  };
  if (!namePattern.test(settings.name) || settings.name.length > 63) {
    violation("name", "must be 1 to 63 lower-case letters, digits and inner hyphens");
  } else if (isId(settings.name)) {
    violation("name", "must not be a UUID: those are the ids of providers");
  }
  if (settings.apiBaseUrl !== "") violation("api_base_url", endpointViolation(settings.apiBaseUrl, true));
  if (settings.apiCaFile !== "" && settings.mcpServerUrl !== "")
    violation("api_ca_file", "must be empty with mcp_server_url: set NODE_EXTRA_CA_CERTS for its servers");
  if (settings.checkIntervalMs !== undefined && userInfoUrl(settings) === undefined)
    violation("check_interval", "needs user_info_endpoint: that is where connections are checked");
  violations.push(...textViolations(settings));
  strategyViolations(settings, violation);
  if (settings.authType === "oauth2") oauth2Violations(settings, hasSecret, violation);
  else staticViolations(settings, hasSecret, violation);
  return violations;
}

type ProfileViolation = (field: string, description: string | undefined) => void;

function oauth2Violations(settings: ProviderSettings, hasSecret: boolean, violation: ProfileViolation): void {
  const endpoint = (field: string, text: string, allowQuery = true): void => {
    if (text !== "") violation(field, endpointViolation(text, allowQuery));
  };
  clientViolations(settings, hasSecret, violation);
  if (settings.credentialSchema) violation("credential_schema", "is for static types");

  endpoint("issuer", settings.issuer, false);
  endpoint("auth_url", settings.authUrl);
  endpoint("token_url", settings.tokenUrl);
  endpoint("jwks_url", settings.jwksUrl);
  // Of a static type it is tried, and judged where that is done.
  if (/^[a-z][a-z0-9+.-]*:/i.test(settings.userInfoEndpoint))
    endpoint("user_info_endpoint", settings.userInfoEndpoint);
  endpoint("oauth2_options.refresh_url", settings.oauth2.refreshUrl);
  endpoint("oauth2_options.revocation_url", settings.oauth2.revocationUrl);
  endpoint("mcp_server_url", settings.mcpServerUrl);
  if (settings.oauth2.resourceParameter === "always" && settings.oauth2.resource === "")
    violation("oauth2_options.resource", "is required when resource_parameter is always");
  actorViolations(settings, violation);
  endpoint("oauth2_options.device_authorization_url", settings.oauth2.deviceAuthorizationUrl);
  endpoint("oauth2_options.pushed_authorization_request_url", settings.oauth2.pushedAuthorizationRequestUrl);
  signedFlowViolations(settings, violation);
  if (settings.enableDiscovery) {
    const unwanted = "must be empty with enable_discovery: the discovery document says it";
    if (settings.issuer === "") violation("issuer", "is required with enable_discovery");
    if (settings.jwksUrl !== "") violation("jwks_url", unwanted);
  } else {
    if (settings.authUrl === "" && !isUnattended(settings))
      violation("auth_url", "is required without enable_discovery");
    if (settings.tokenUrl === "") violation("token_url", "is required without enable_discovery");
    if (settings.jwksUrl !== "" && settings.issuer === "") {
      violation("issuer", "is required with jwks_url: an id_token is verified by both");
    }
  }
  if (isUnattended(settings)) unattendedViolations(settings, violation);
  refuseProtocolParams("authorization_params", settings.authorizationParams, violation);
  refuseProtocolParams("oauth2_options.token_params", settings.oauth2.tokenParams, violation, grantParams);
  refuseProtocolParams(
    "oauth2_options.refresh_params",
    settings.oauth2.refreshParams,
    violation,
    grantParams,
  );
  for (const name of Object.keys(settings.oauth2.tokenHeaders)) {
    violation(`oauth2_options.token_headers["${name}"]`, tokenHeaderViolation(name));
  }
}

/** JAR and JARM. */
function signedFlowViolations(settings: ProviderSettings, violation: ProfileViolation): void {
  const { issuer, jwksUrl, enableDiscovery, oauth2 } = settings;
  const { signAuthorizationRequests: signs, responseMode } = oauth2;
  if (signs && settings.tokenEndpointAuthMethod !== "private_key_jwt")
    violation(
      "oauth2_options.sign_authorization_requests",
      "needs token_endpoint_auth_method private_key_jwt: the client's key signs",
    );
  else if (signs && issuer === "")
    violation("oauth2_options.sign_authorization_requests", "needs issuer: the signed request is for it");
  if (responseMode !== "" && (issuer === "" || (jwksUrl === "" && !enableDiscovery)))
    violation(
      "oauth2_options.response_mode",
      "needs issuer, and jwks_url or enable_discovery: the response is verified by both",
    );
}

function actorViolations(
  { oauth2, tokenEndpointAuthMethod }: ProviderSettings,
  violation: ProfileViolation,
): void {
  const { actorToken, tokenExchange } = oauth2;
  if (actorToken !== "off" && tokenExchange !== "rfc8693")
    violation("oauth2_options.actor_token", "must be off unless token_exchange is rfc8693");
  if (actorToken === "client" && tokenEndpointAuthMethod === "none")
    violation(
      "oauth2_options.actor_token",
      "must not be client for a public client, which gets no token of its own",
    );
}

/** What nobody would ever see or send where no person consents. */
function unattendedViolations(settings: ProviderSettings, violation: ProfileViolation): void {
  const unwanted = `must be empty with the grant type ${settings.grantType}: no person consents`;
  const noRefresh = `must be empty with the grant type ${settings.grantType}: there is no refresh token`;
  const { authUrl, authorizationParams, oauth2 } = settings;
  if (authUrl !== "") violation("auth_url", unwanted);
  if (Object.keys(authorizationParams).length > 0) violation("authorization_params", unwanted);
  if (oauth2.refreshUrl !== "") violation("oauth2_options.refresh_url", noRefresh);
  if (Object.keys(oauth2.refreshParams).length > 0) violation("oauth2_options.refresh_params", noRefresh);
  if (settings.grantType === "client_credentials" && settings.tokenEndpointAuthMethod === "none") {
    violation(
      "token_endpoint_auth_method",
      "must not be none with the grant type client_credentials: RFC 6749 section 4.4 is for clients that authenticate",
    );
  }
}

function refuseProtocolParams(
  field: string,
  params: Readonly<Record<string, string>>,
  violation: ProfileViolation,
  more: ReadonlySet<string> = new Set(),
): void {
  for (const name of Object.keys(params)) {
    if (protocolParams.has(name) || more.has(name))
      violation(`${field}["${name}"]`, "is a parameter of the protocol and cannot be set");
  }
}

function staticViolations(settings: ProviderSettings, hasSecret: boolean, violation: ProfileViolation): void {
  const unwanted = `is for oauth2, not for ${settings.authType}`;
  if (settings.clientId !== "") violation("client_id", unwanted);
  if (hasSecret) violation("client_secret", unwanted);
  if (settings.issuer !== "" || settings.enableDiscovery) violation("issuer", unwanted);
  if (settings.mcpServerUrl !== "") violation("mcp_server_url", unwanted);
  if (settings.identityProvider !== "") violation("identity_provider", unwanted);
  if (settings.tlsClientCertificate !== "") violation("tls_client_certificate", unwanted);
  if (settings.clientAssertionSource !== "") violation("client_assertion_source", unwanted);
  if (settings.clientKeySource !== "") violation("client_key_source", unwanted);
  if (settings.authUrl !== "") violation("auth_url", unwanted);
  if (settings.tokenUrl !== "") violation("token_url", unwanted);
}

function strategyViolations({ authType, strategy }: ProviderSettings, violation: ProfileViolation): void {
  const kinds = strategiesOfType[authType];
  if (!kinds.includes(strategy.kind)) {
    violation("strategy", `must be ${kinds.join(" or ")} for ${authType}, not ${strategy.kind}`);
    return;
  }
  const at = (name: string): string => `strategy.${strategy.kind}.${name}`;
  if ("headerName" in strategy) violation(at("header_name"), headerNameViolation(strategy.headerName));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if ("valuePrefix" in strategy && /[\u0000-\u001f\u007f-\uffff]/.test(strategy.valuePrefix)) {
    violation(at("value_prefix"), "must be printable ASCII");
  }
  if (strategy.kind === "hmac_payload") {
    if (!hmacAlgos.includes(strategy.algo)) violation(at("algo"), `must be ${hmacAlgos.join(", ")}`);
    if (!hmacEncodings.includes(strategy.encoding))
      violation(at("encoding"), `must be ${hmacEncodings.join(" or ")}`);
  }
  if (strategy.kind === "query_param" && strategy.paramName === "")
    violation(at("param_name"), "is required");
  if (strategy.kind === "aws_sigv4" && !/^[a-z0-9-]+$/.test(strategy.service)) {
    violation(at("service"), "is required: lower-case letters, digits and hyphens");
  }
  if (strategy.kind === "aws_sigv4" && !/^[a-z0-9-]+$/.test(strategy.region)) {
    violation(at("region"), "must be lower-case letters, digits and hyphens");
  }
}
