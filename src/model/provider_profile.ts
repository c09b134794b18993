import type { SealedRecord } from "./credential.js";
import type { FieldViolation } from "./errors.js";

/** RFC 7591 section 2. */
export const tokenEndpointAuthMethods = ["client_secret_post", "client_secret_basic", "none"] as const;
export type TokenEndpointAuthMethod = (typeof tokenEndpointAuthMethods)[number];

/** What a caller can set. */
export interface ProviderSettings {
  readonly name: string;
  readonly authType: "oauth2";
  readonly clientId: string;
  readonly tokenEndpointAuthMethod: TokenEndpointAuthMethod;
  readonly issuer: string;
  readonly enableDiscovery: boolean;
  readonly authUrl: string;
  readonly tokenUrl: string;
  readonly jwksUrl: string;
  readonly scopes: readonly string[];
  readonly authorizationParams: Readonly<Record<string, string>>;
  readonly apiBaseUrl: string;
  readonly userInfoEndpoint: string;
  readonly description: string;
  readonly category: string;
  readonly refreshWindowMs: number | undefined;
  /** Lifetime to assume of an access token when neither the answer nor the token says one. Above 0; from the catalogue. */
  readonly defaultLifetimeMs?: number | undefined;
}

/** A provider profile as stored. */
export interface ProviderProfile extends ProviderSettings {
  readonly id: string;
  readonly clientSecret: SealedRecord | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Counts the changes of this profile, from 1. */
  readonly version: bigint;
}

const namePattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** Names are looked up trimmed and lower-cased. */
export function canonicalName(name: string): string {
  return name.trim().toLowerCase();
}

/** Parameters that the protocol sets itself (RFC 6749, RFC 7636, OpenID Connect Core, RFC 9101, RFC 9126). */
const protocolParams = new Set([
  "client_id",
  "client_secret",
  "code_challenge",
  "code_challenge_method",
  "code_verifier",
  "nonce",
  "redirect_uri",
  "request",
  "request_uri",
  "response_mode",
  "response_type",
  "scope",
  "state",
]);

/** Whether plain http is acceptable: only to this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function endpointFault(text: string, allowQuery: boolean): string | undefined {
  if (text !== text.trim() || !URL.canParse(text)) return "must be an absolute URL";
  const url = new URL(text);
  const plain = url.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !plain) return "must be an https URL (http only on loopback)";
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  if (text.includes("#")) return "must not have a fragment";
  if (!allowQuery && text.includes("?")) return "must not have a query";
  return undefined;
}

/** Every fault of a profile, each by its field. `hasSecret` says whether a client secret is or will be stored. */
export function providerFaults(settings: ProviderSettings, hasSecret: boolean): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const fault = (field: string, description: string | undefined): void => {
    if (description !== undefined) faults.push({ field: `provider.${field}`, description });
  };
  const endpoint = (field: string, text: string, allowQuery = true): void => {
    if (text !== "") fault(field, endpointFault(text, allowQuery));
  };

  if (!namePattern.test(settings.name) || settings.name.length > 63) {
    fault("name", "must be 1 to 63 lower-case letters, digits and inner hyphens");
  }
  if (settings.clientId === "") fault("client_id", "is required for oauth2");
  const isPublic = settings.tokenEndpointAuthMethod === "none";
  if (!isPublic && !hasSecret) {
    fault("client_secret", "is required unless token_endpoint_auth_method is none (a public client)");
  }
  if (isPublic && hasSecret) fault("client_secret", "must be empty when token_endpoint_auth_method is none");

  endpoint("issuer", settings.issuer, false);
  endpoint("auth_url", settings.authUrl);
  endpoint("token_url", settings.tokenUrl);
  endpoint("jwks_url", settings.jwksUrl);
  endpoint("api_base_url", settings.apiBaseUrl);
  if (settings.enableDiscovery) {
    const unwanted = "must be empty with enable_discovery: the discovery document says it";
    if (settings.issuer === "") fault("issuer", "is required with enable_discovery");
    if (settings.authUrl !== "") fault("auth_url", unwanted);
    if (settings.tokenUrl !== "") fault("token_url", unwanted);
    if (settings.jwksUrl !== "") fault("jwks_url", unwanted);
  } else {
    if (settings.authUrl === "") fault("auth_url", "is required without enable_discovery");
    if (settings.tokenUrl === "") fault("token_url", "is required without enable_discovery");
    if (settings.scopes.includes("openid")) {
      const why = "is required when openid is among the scopes and enable_discovery is off";
      if (settings.issuer === "") fault("issuer", why);
      if (settings.jwksUrl === "") fault("jwks_url", why);
    }
  }
  for (const name of Object.keys(settings.authorizationParams)) {
    if (protocolParams.has(name)) {
      fault(`authorization_params["${name}"]`, "is a parameter of the protocol and cannot be set");
    }
  }
  return faults;
}
