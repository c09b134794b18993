import { ClientCertificateUnusable, readClientCertificate } from "./client_certificate.js";

interface ProofMethod {
  readonly tokenEndpointAuthMethod: string;
}

interface Proof extends ProofMethod {
  readonly authType: string;
  readonly grantType: string;
}

/** What of a profile says how its client proves itself. */
export interface ClientProofSettings extends Proof {
  readonly clientId: string;
  readonly tlsClientCertificate: string;
  readonly clientAssertionSource: string;
  readonly clientKeySource: string;
  readonly oauth2: { readonly clientKeyId: string };
}

/** RFC 8705 sections 2.1 and 2.2. */
const tlsMethods: readonly string[] = ["tls_client_auth", "self_signed_tls_client_auth"];

/** Grants whose requests the client signs, however it authenticates. */
export const signingGrants: readonly string[] = ["jwt_bearer", "github_app"];

/** Whether the client proves itself by its certificate, and `client_secret` is the key of that. */
export function provesByTls({ tokenEndpointAuthMethod: method }: ProofMethod): boolean {
  return tlsMethods.includes(method);
}

/** Whether the client authenticates by `client_secret` beside a grant that is a JWT, whose key or which itself stands in a file. */
export function hasSecretBesideJwt({ grantType, tokenEndpointAuthMethod: method }: Proof): boolean {
  return grantType === "jwt_bearer" && (method === "client_secret_post" || method === "client_secret_basic");
}

function signs({ authType, grantType, tokenEndpointAuthMethod: method }: Proof): boolean {
  return authType === "oauth2" && (signingGrants.includes(grantType) || method === "private_key_jwt");
}

/** Whether `client_secret` holds a private key that signs. */
export function hasPrivateKey(settings: Proof): boolean {
  return signs(settings) && !hasSecretBesideJwt(settings);
}

/** Whether the key that signs stands in a file of the daemon's machine. */
export function signsByKeyFile(settings: ClientProofSettings): boolean {
  return settings.clientKeySource !== "" && signs(settings);
}

/** Whether the daemon signs with a key that it made itself: neither `client_secret` nor a file holds one. */
export function signsByClientKey(settings: ClientProofSettings, hasSecret: boolean): boolean {
  const { authType, tokenEndpointAuthMethod: method, clientKeySource } = settings;
  return authType === "oauth2" && method === "private_key_jwt" && !hasSecret && clientKeySource === "";
}

/** Whether the client proves itself by what stands in a file of the daemon's machine. */
export function provesByFile({ tokenEndpointAuthMethod: method }: ProofMethod): boolean {
  return method === "client_assertion_file";
}

/** Whether the grant itself is what stands in such a file. */
export function grantedByFile({ grantType, clientAssertionSource: source }: ClientProofSettings): boolean {
  return grantType === "jwt_bearer" && source !== "";
}

/** Whether a client of type `oauth2` needs nothing sealed. */
export function needsNoSecret(settings: ProofMethod): boolean {
  return settings.tokenEndpointAuthMethod === "none" || provesByFile(settings);
}

/** Errors of what a client of type `oauth2` proves itself with, each by its field. */
export function clientViolations(
  settings: ClientProofSettings,
  hasSecret: boolean,
  violation: (field: string, description: string | undefined) => void,
): void {
  const { clientId, grantType, tokenEndpointAuthMethod: method } = settings;
  if (clientId === "") violation("client_id", "is required for oauth2");
  const signsGrant = signingGrants.includes(grantType) && !grantedByFile(settings);
  keyFileViolations(settings, hasSecret, violation);
  if (hasSecretBesideJwt(settings)) {
    if (!hasSecret) violation("client_secret", `is required with ${method}`);
  } else if (signsByKeyFile(settings)) {
    // The file is judged when it is read.
  } else if (signsByClientKey(settings, hasSecret)) {
    if (settings.oauth2.clientKeyId !== "")
      violation(
        "oauth2_options.client_key_id",
        "must be empty without client_secret: the daemon's own key has a name of its own",
      );
  } else if (signsGrant && !hasSecret) {
    violation("client_secret", `is required with the grant type ${grantType}: the private key that signs`);
  } else if (provesByTls(settings) && !hasSecret) {
    violation("client_secret", `is required with ${method}: the private key of tls_client_certificate`);
  } else if (!needsNoSecret(settings) && !hasSecret) {
    violation("client_secret", "is required unless token_endpoint_auth_method is none (a public client)");
  }
  if (needsNoSecret(settings) && hasSecret && !signsGrant)
    violation("client_secret", `must be empty when token_endpoint_auth_method is ${method}`);
  const { clientAssertionSource: source } = settings;
  if (provesByFile(settings) && source === "")
    violation(
      "client_assertion_source",
      "is required with client_assertion_file: a name of NEXUS_CLIENT_ASSERTION_FILES",
    );
  if (!provesByFile(settings) && !grantedByFile(settings) && source !== "")
    violation(
      "client_assertion_source",
      "must be empty unless token_endpoint_auth_method is client_assertion_file, or grant_type jwt_bearer",
    );
  if (grantedByFile(settings) && method !== "none" && !hasSecretBesideJwt(settings))
    violation(
      "token_endpoint_auth_method",
      "must be none with the grant type jwt_bearer and client_assertion_source, where the JWT in the file says who the client is, or client_secret_post or client_secret_basic",
    );
  certificateViolations(settings, violation);
}

function keyFileViolations(
  settings: ClientProofSettings,
  hasSecret: boolean,
  violation: (field: string, description: string) => void,
): void {
  if (settings.clientKeySource === "") return;
  if (!signs(settings) || grantedByFile(settings))
    violation(
      "client_key_source",
      "must be empty unless the client signs: with grant_type jwt_bearer or github_app, or token_endpoint_auth_method private_key_jwt",
    );
  else if (hasSecret && !hasSecretBesideJwt(settings))
    violation("client_secret", "must be empty with client_key_source: the file holds the key");
}

function certificateViolations(
  settings: ClientProofSettings,
  violation: (field: string, description: string) => void,
): void {
  const { tlsClientCertificate: chain, tokenEndpointAuthMethod: method } = settings;
  if (chain === "") {
    if (provesByTls(settings)) violation("tls_client_certificate", `is required with ${method}`);
    return;
  }
  if (!provesByTls(settings))
    violation(
      "tls_client_certificate",
      `must be empty unless token_endpoint_auth_method is ${tlsMethods.join(" or ")}`,
    );
  try {
    readClientCertificate(chain);
  } catch (error) {
    if (!(error instanceof ClientCertificateUnusable)) throw error;
    violation("tls_client_certificate", error.message);
  }
}
