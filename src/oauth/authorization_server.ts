import type * as oauth from "oauth4webapi";
import { isOfTenants } from "../model/credentials/tenant_issuer.js";
import { isLoopbackHost, type ProviderSettings } from "../model/providers/provider_profile.js";
import { DiscoveryFailure, parseDiscoveryDocument, printableIssuer } from "./discovery.js";
import { dpopAlgorithm } from "./dpop/dpop_key.js";
import { KeySet } from "./jwks.js";

/**
 * An authorization server as RFC 8414 and OpenID Connect Discovery describe it. Make one per version of a profile or
 * document and keep it: the fetched keys and the limits of their fetching hang on it.
 */
export interface AuthorizationServer {
  /** Undefined when the profile knows none: then nothing that names an issuer can be judged. */
  readonly issuer: string | undefined;
  /** With the placeholder of `tenant_issuer.ts`; undefined where `issuer` is that of each token. */
  readonly tenantIssuer?: string | undefined;
  /** Empty where it publishes none (RFC 8414 section 2: no grant type of it needs one): then no browser can be sent there. */
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly jwksUri: string | undefined;
  /** The keys behind `jwksUri`. */
  readonly keys: KeySet | undefined;
  readonly revocationEndpoint: string | undefined;
  /** RFC 8628 section 4. */
  readonly deviceAuthorizationEndpoint: string | undefined;
  /** RFC 8414 section 2: it says that it takes PKCE by S256. */
  readonly announcesPkce: boolean;
  /** RFC 9449 section 5.1: it says that it takes proofs by the algorithm of ours. */
  readonly announcesDpop: boolean;
  /** RFC 9207 section 3: an authorization response without `iss` must be refused. */
  readonly issParameterSupported: boolean;
  /** RFC 9126 section 5: it takes authorization requests that were pushed to it before, and no others. */
  readonly requiresPushedRequests: boolean;
  /** RFC 9101 section 10.5: it takes authorization requests that the client signed, and no others. */
  readonly requiresSignedRequests: boolean;
  /** JARM section 4: it signs each of its responses to a redirect URI's query. */
  readonly signsResponses: boolean;
  /** What the metadata says of clients that are yet to be registered. */
  readonly announced: AnnouncedFeatures;
  /** RFC 9126 section 5. */
  readonly pushedRequestEndpoint: string | undefined;
  /** `mtls_endpoint_aliases` (RFC 8705 section 5): what clients call instead of the endpoints that prove themselves in TLS. */
  readonly mtlsAliases: Partial<MtlsEndpoints>;
  /** The same for `oauth4webapi`. Without an issuer it holds a placeholder that equals no issuer. */
  readonly metadata: oauth.AuthorizationServer;
}

/** RFC 8414 section 2, and OAuth Client ID Metadata Document. A list that is missing is empty. */
export interface AnnouncedFeatures {
  readonly registrationEndpoint: string | undefined;
  readonly clientIdMetadataDocument: boolean;
  readonly tokenEndpointAuthMethods: readonly string[];
  /** `token_endpoint_auth_signing_alg_values_supported`. */
  readonly tokenEndpointAuthAlgorithms: readonly string[];
  readonly scopes: readonly string[];
}

/** The endpoints to which a client authenticates. */
type MtlsEndpoints = AuthorizationServer & {
  readonly [Endpoint in
    | "revocationEndpoint"
    | "deviceAuthorizationEndpoint"
    | "pushedRequestEndpoint"]: string;
};

const nothingAnnounced: AnnouncedFeatures = {
  registrationEndpoint: undefined,
  clientIdMetadataDocument: false,
  tokenEndpointAuthMethods: [],
  tokenEndpointAuthAlgorithms: [],
  scopes: [],
};

/** Not a URL, so no issuer: the library demands some text. */
const noIssuer = "(no issuer)";

/** Whether the metadata names an issuer that the profile or a document knows. */
export function hasIssuer({ issuer }: oauth.AuthorizationServer): boolean {
  return issuer !== noIssuer;
}

/** What `oauth4webapi` can verify with a public key. `none` and HMAC are out whatever a document says. */
export const signingAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** The server of a profile without discovery. Checked by `providerViolations` when the profile was written. */
export function manualAuthorizationServer(
  profile: Pick<ProviderSettings, "issuer" | "authUrl" | "tokenUrl" | "jwksUrl">,
): AuthorizationServer {
  return authorizationServer({
    issuer: profile.issuer === "" ? undefined : profile.issuer,
    authorizationEndpoint: profile.authUrl,
    tokenEndpoint: profile.tokenUrl,
    jwksUri: profile.jwksUrl === "" ? undefined : profile.jwksUrl,
    revocationEndpoint: undefined,
    deviceAuthorizationEndpoint: undefined,
    announcesPkce: false,
    announcesDpop: false,
    issParameterSupported: false,
    requiresPushedRequests: false,
    requiresSignedRequests: false,
    signsResponses: false,
    announced: nothingAnnounced,
    pushedRequestEndpoint: undefined,
    mtlsAliases: {},
    signingAlgorithms,
  });
}

/** A server with the keys of another description of it, and all else as it was. */
export function withKeysOf(server: AuthorizationServer, described: AuthorizationServer): AuthorizationServer {
  const { jwks_uri, id_token_signing_alg_values_supported: algorithms } = described.metadata;
  const metadata = {
    ...server.metadata,
    ...(jwks_uri === undefined ? {} : { jwks_uri }),
    ...(algorithms === undefined ? {} : { id_token_signing_alg_values_supported: algorithms }),
  };
  return { ...server, jwksUri: described.jwksUri, keys: described.keys, metadata };
}

/** The server with the endpoints that a profile gives beside discovery: they go before those of the document. */
export function withEndpointsOf(
  server: AuthorizationServer,
  { authUrl, tokenUrl }: Pick<ProviderSettings, "authUrl" | "tokenUrl">,
): AuthorizationServer {
  const authorizationEndpoint = authUrl || server.authorizationEndpoint;
  const tokenEndpoint = tokenUrl || server.tokenEndpoint;
  const metadata = {
    ...server.metadata,
    ...(authorizationEndpoint !== "" && { authorization_endpoint: authorizationEndpoint }),
    token_endpoint: tokenEndpoint,
  };
  return { ...server, authorizationEndpoint, tokenEndpoint, metadata };
}

/** The server as a client sees it that proves itself in TLS (RFC 8705 section 5); its keys are the same. */
export function withMtlsAliases(server: AuthorizationServer): AuthorizationServer {
  const { mtlsAliases } = server;
  const { tokenEndpoint = server.tokenEndpoint } = mtlsAliases;
  return { ...server, ...mtlsAliases, metadata: { ...server.metadata, token_endpoint: tokenEndpoint } };
}

/**
 * Judges a discovery document (OpenID Connect Discovery 1.0 sections 3 and 4.3).
 *
 * `oauth4webapi` normalises both URLs before it compares the issuer; section 4.3 wants identical strings, which later
 * comparisons with `iss` rely on. PKCE is sent whatever `code_challenge_methods_supported` says (RFC 9700 section 2.1.1:
 * servers ignore what they do not know, RFC 6749 section 3.1).
 *
 * @param issuer as in the profile
 * @param documentJson as `fetchDiscoveryDocument` answered
 * @throws DiscoveryFailure
 */
export function fromDiscoveryDocument(issuer: string, documentJson: string): AuthorizationServer {
  const document = parseDiscoveryDocument(issuer, documentJson);
  const named = document["issuer"];
  const tenantIssuer = isOfTenants(named, issuer) ? named : undefined;
  if (named !== issuer && tenantIssuer === undefined) {
    throw new DiscoveryFailure("issuer_mismatch", issuer, mismatchWords(named, issuer));
  }
  const endpoint = (field: string): string | undefined => {
    const value = document[field];
    if (value === undefined || value === null || value === "") return undefined;
    if (!isPermittedEndpoint(value, issuer)) throw new DiscoveryFailure("invalid_endpoint", issuer, field);
    return value;
  };
  const required = (field: string): string => {
    const value = endpoint(field);
    if (value === undefined) throw new DiscoveryFailure("missing_endpoint", issuer, field);
    return value;
  };
  // Discovery 1.0 section 3: RS256 must be among them, so it is the list when there is none.
  const advertised = document["id_token_signing_alg_values_supported"];
  return authorizationServer({
    issuer,
    ...(tenantIssuer !== undefined && { tenantIssuer }),
    authorizationEndpoint: endpoint("authorization_endpoint") ?? "",
    tokenEndpoint: required("token_endpoint"),
    jwksUri: endpoint("jwks_uri"),
    revocationEndpoint: endpoint("revocation_endpoint"),
    deviceAuthorizationEndpoint: endpoint("device_authorization_endpoint"),
    announcesPkce: announcesPkce(document["code_challenge_methods_supported"]),
    announcesDpop: texts(document["dpop_signing_alg_values_supported"]).includes(dpopAlgorithm),
    issParameterSupported: document["authorization_response_iss_parameter_supported"] === true,
    requiresPushedRequests: document["require_pushed_authorization_requests"] === true,
    requiresSignedRequests: document["require_signed_request_object"] === true,
    signsResponses: signsResponses(texts(document["response_modes_supported"])),
    announced: {
      registrationEndpoint: endpoint("registration_endpoint"),
      clientIdMetadataDocument: document["client_id_metadata_document_supported"] === true,
      tokenEndpointAuthMethods: texts(document["token_endpoint_auth_methods_supported"]),
      tokenEndpointAuthAlgorithms: texts(document["token_endpoint_auth_signing_alg_values_supported"]),
      scopes: texts(document["scopes_supported"]),
    },
    pushedRequestEndpoint: endpoint("pushed_authorization_request_endpoint"),
    mtlsAliases: mtlsAliasesOf(document["mtls_endpoint_aliases"], issuer),
    signingAlgorithms: Array.isArray(advertised)
      ? signingAlgorithms.filter((algorithm) => advertised.includes(algorithm))
      : ["RS256"],
  });
}

function mismatchWords(named: unknown, issuer: string): string {
  const isSlash = named === `${issuer}/` || `${named}/` === issuer;
  const compared = isSlash
    ? `they differ in the slash at the end: set the issuer of the profile to ${named}`
    : "they are compared character by character: correct the issuer of the profile";
  const what = named === undefined ? "names no issuer" : `names the issuer ${printableIssuer(named)}`;
  return `${what}, and the profile says ${issuer}; ${compared}`;
}

function authorizationServer(
  fields: Omit<AuthorizationServer, "metadata" | "keys"> & { readonly signingAlgorithms: readonly string[] },
): AuthorizationServer {
  const { signingAlgorithms: algorithms, ...server } = fields;
  const metadata: oauth.AuthorizationServer = {
    issuer: server.issuer ?? noIssuer,
    ...(server.authorizationEndpoint === "" ? {} : { authorization_endpoint: server.authorizationEndpoint }),
    token_endpoint: server.tokenEndpoint,
    authorization_response_iss_parameter_supported: server.issParameterSupported,
    id_token_signing_alg_values_supported: [...algorithms],
    ...(server.jwksUri === undefined ? {} : { jwks_uri: server.jwksUri }),
    ...(server.revocationEndpoint === undefined ? {} : { revocation_endpoint: server.revocationEndpoint }),
    ...(server.announced.registrationEndpoint === undefined
      ? {}
      : { registration_endpoint: server.announced.registrationEndpoint }),
  };
  const keys = server.jwksUri === undefined ? undefined : new KeySet(server.jwksUri);
  return { ...server, keys, metadata };
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string").slice(0, 1_000) : [];
}

/** One that may not be called is none: then the endpoint itself is called. */
function mtlsAliasesOf(aliases: unknown, issuer: string): Partial<MtlsEndpoints> {
  if (typeof aliases !== "object" || aliases === null) return {};
  const named = aliases as Readonly<Record<string, unknown>>;
  const endpoints = {
    tokenEndpoint: named["token_endpoint"],
    revocationEndpoint: named["revocation_endpoint"],
    deviceAuthorizationEndpoint: named["device_authorization_endpoint"],
    pushedRequestEndpoint: named["pushed_authorization_request_endpoint"],
  };
  return Object.fromEntries(Object.entries(endpoints).filter(([, url]) => isPermittedEndpoint(url, issuer)));
}

/** RFC 8414 section 2: a list that is missing has `query`. */
function signsResponses(modes: readonly string[]): boolean {
  return !modes.includes("query") && (modes.includes("jwt") || modes.includes("query.jwt"));
}

function announcesPkce(methods: unknown): boolean {
  return Array.isArray(methods) && methods.includes("S256");
}

/** A document from another machine must not send client secrets to plain ports of this machine: http needs an http issuer. */
function isPermittedEndpoint(value: unknown, issuer: string): value is string {
  if (typeof value !== "string" || value !== value.trim() || value.includes("#") || !URL.canParse(value))
    return false;
  const url = new URL(value);
  if (url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopbackHost(url.hostname) && issuer.startsWith("http:");
}
