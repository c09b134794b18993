import { isDeepStrictEqual } from "node:util";
import { ClientCertificateUnusable, refuseForeignKey } from "../../model/clients/client_certificate.js";
import { hasPrivateKey, provesByTls } from "../../model/clients/client_proof.js";
import { type PrivateKey, PrivateKeyUnusable, readPrivateKey } from "../../model/credentials/private_key.js";
import { AlreadyExists, type FieldViolation, InvalidArgument, NexusError } from "../../model/errors.js";
import {
  type ProviderProfile,
  type ProviderSettings,
  providerViolations,
} from "../../model/providers/provider_profile.js";
import { isOpenable, judgeUrl, type ProviderNetworks } from "../../outbound/address_judge.js";
import type { AuthorityFiles } from "../../outbound/certificate_authorities.js";
import type { Secret } from "../../runtime/secret.js";
import type { Reads } from "../../store/reads.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection } from "../connections/connections.js";
import {
  type AssertionFiles,
  type GrantType,
  grantViolations,
  type KeyFiles,
} from "../token_endpoint/token_endpoint.js";
import { trialViolations } from "./static/credential_probe.js";
import { credentialSchemaViolations } from "./static/credential_schema.js";

/** What profiles are judged by besides themselves. */
export interface ProfileLimits {
  /** Where a profile's URLs may lead. */
  readonly networks: ProviderNetworks;
  /** Which files profiles may name. */
  readonly assertionFiles?: AssertionFiles;
  readonly keyFiles?: KeyFiles;
  readonly authorityFiles?: AuthorityFiles;
}

/** @throws InvalidArgument with every error of the profile named */
export function refuseViolations(
  settings: ProviderSettings,
  hasSecret: boolean,
  limits: ProfileLimits,
  grantType: GrantType | undefined,
): void {
  const form = [
    ...providerViolations(settings, hasSecret),
    ...grantViolations(settings, grantType),
    ...sourceViolations(settings, limits),
    ...credentialSchemaViolations(settings),
    ...trialViolations(settings),
  ];
  const named = new Set(form.map(({ field }) => field));
  const violations = [
    ...form,
    ...networkViolations(settings, limits.networks).filter(({ field }) => !named.has(field)),
  ];
  if (violations.length > 0) throw new InvalidArgument(violations);
}

/**
 * URLs of a profile whose host stands where no provider may: what can be known without resolving a name. `providerViolations` has judged
 * their form. A private address in `api_base_url` is the agent's affair, since the daemon does not call it.
 */
function networkViolations(settings: ProviderSettings, networks: ProviderNetworks): FieldViolation[] {
  const { oauth2, authType } = settings;
  const urls: [field: string, url: string][] = [
    ["issuer", settings.issuer],
    ["auth_url", settings.authUrl],
    ["token_url", settings.tokenUrl],
    ["jwks_url", settings.jwksUrl],
    ["oauth2_options.refresh_url", oauth2.refreshUrl],
    ["oauth2_options.revocation_url", oauth2.revocationUrl],
    ["oauth2_options.device_authorization_url", oauth2.deviceAuthorizationUrl],
    ["oauth2_options.pushed_authorization_request_url", oauth2.pushedAuthorizationRequestUrl],
    ["user_info_endpoint", settings.userInfoEndpoint],
    ["mcp_server_url", settings.mcpServerUrl],
    ["api_base_url", settings.apiBaseUrl],
  ];
  return urls.flatMap(([field, url]) => {
    if (!URL.canParse(url)) return [];
    const { hostname } = new URL(url);
    const refusal = judgeUrl(new URL(url), networks);
    const isCalled = field !== "api_base_url" || (authType !== "oauth2" && settings.userInfoEndpoint !== "");
    if (refusal === undefined || (!isCalled && isOpenable(refusal.kind))) return [];
    return [{ field: `provider.${field}`, description: `${hostname} ${refusal.why}` }];
  });
}

function sourceViolations(
  { clientAssertionSource, clientKeySource, apiCaFile }: ProviderSettings,
  { assertionFiles, keyFiles, authorityFiles }: ProfileLimits,
): FieldViolation[] {
  const sources = [
    ["client_assertion_source", clientAssertionSource, assertionFiles?.names, "NEXUS_CLIENT_ASSERTION_FILES"],
    ["client_key_source", clientKeySource, keyFiles?.names, "NEXUS_SIGNING_KEY_FILES"],
    ["api_ca_file", apiCaFile, authorityFiles?.names, "NEXUS_API_CA_FILES"],
  ] as const;
  return sources.flatMap(([field, source, known = [], setting]) => {
    if (source === "" || known.includes(source)) return [];
    const names = known.length === 0 ? "none is named there" : `there are ${known.join(", ")}`;
    return [
      { field: `provider.${field}`, description: `must be a name of the setting ${setting}: ${names}` },
    ];
  });
}

/** A file without authorities is refused at once, not at the next request. @throws InvalidArgument */
export async function refuseUnusableAuthority(
  { apiCaFile = "" }: Partial<ProviderSettings>,
  { authorityFiles }: ProfileLimits,
): Promise<void> {
  if (!authorityFiles?.names.includes(apiCaFile)) return;
  try {
    await authorityFiles.read(apiCaFile);
  } catch (error) {
    if (error instanceof NexusError) throw refused("api_ca_file", `cannot be used: ${error.message}`);
    throw error;
  }
}

/** A key that cannot sign is refused at once, not when a token is due. @throws InvalidArgument */
export function refuseUnusableKey(
  settings: ProviderSettings,
  secret: Secret | undefined,
  grantType: GrantType | undefined,
): void {
  if (secret === undefined) return;
  if (settings.authType === "oauth2" && provesByTls(settings)) refuseUnusableCertificate(settings, secret);
  if (!hasPrivateKey(settings)) return;
  let key: PrivateKey;
  try {
    key = readPrivateKey(secret.reveal());
  } catch (error) {
    if (error instanceof PrivateKeyUnusable) throw refused("client_secret", error.message);
    throw error;
  }
  const { signingAlg } = grantType ?? {};
  const clientSigningAlg = signingAlg ?? settings.oauth2.clientSigningAlg;
  if (clientSigningAlg === "" || key.algorithms.includes(clientSigningAlg)) return;
  if (signingAlg !== undefined)
    throw refused(
      "client_secret",
      `must be a key for ${signingAlg} with the grant type ${settings.grantType}`,
    );
  throw refused("oauth2_options.client_signing_alg", `must be ${key.algorithms.join(" or ")} for this key`);
}

function refuseUnusableCertificate(
  { tlsClientCertificate: chain }: ProviderSettings,
  privateKey: Secret,
): void {
  try {
    refuseForeignKey({ chain, privateKey });
  } catch (error) {
    if (error instanceof PrivateKeyUnusable) throw refused("client_secret", error.message);
    if (error instanceof ClientCertificateUnusable) throw refused("tls_client_certificate", error.message);
    throw error;
  }
}

function refused(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field: `provider.${field}`, description }]);
}

/** What is held by a grant of one type is of no use to another. @throws InvalidArgument */
export function refuseOtherGrantType(before: ProviderSettings, after: ProviderSettings): void {
  if (before.grantType === after.grantType) return;
  const description = `cannot be changed from ${before.grantType}: register another provider`;
  throw new InvalidArgument([{ field: "provider.grant_type", description }]);
}

/** @throws AlreadyExists */
export function refuseTakenName(tx: Reads, id: string, name: string): void {
  const holder = tx.findProviderByName(name);
  if (holder && holder.id !== id) throw new AlreadyExists(`a provider named "${name}" exists already`);
}

/**
 * The profile decides how a credential is applied. If an edit changes that, each connection that holds a credential changes with it, in the
 * same commit. So all watchers and proxies learn of it, also those that are disconnected now.
 */
export function followStrategy(tx: Transaction, before: ProviderProfile, after: ProviderProfile): void {
  const { strategy, updatedAtMs: nowMs } = after;
  if (isDeepStrictEqual(before.strategy, strategy)) return;
  for (const connection of tx.connectionsOf(after.id)) {
    if (connection.credentialRevision === 0n || connection.status === "revoked") continue;
    tx.putConnection(changeConnection(connection, { strategy }, nowMs));
  }
}
