import type { Sight } from "../src/domain/access/access_control.js";
import type { PendingAuthorization } from "../src/model/connections/authorization.js";
import type { Connection } from "../src/model/connections/connection.js";
import { newConnection } from "../src/model/connections/new_connection.js";
import type { SealedRecord } from "../src/model/credentials/credential.js";
import { bearerStrategy } from "../src/model/credentials/strategy.js";
import { newId } from "../src/model/ids.js";
import { plainOAuth2 } from "../src/model/providers/profile_fields.js";
import type { ProviderProfile, ProviderSettings } from "../src/model/providers/provider_profile.js";

export const nowMs = 1_700_000_000_000;

export function sealed(text: string): SealedRecord {
  return {
    keyId: `key-${text}`,
    layout: 1,
    nonce: Buffer.alloc(12, text),
    ciphertext: Buffer.from(`ciphertext ${text}`),
  };
}

/** What a client may set of a profile, nearly nothing of it set. */
export const plainSettings: ProviderSettings = {
  name: "op",
  authType: "oauth2",
  grantType: "authorization_code",
  clientId: "client",
  tlsClientCertificate: "",
  clientAssertionSource: "",
  clientKeySource: "",
  apiCaFile: "",
  tokenEndpointAuthMethod: "none",
  issuer: "",
  enableDiscovery: false,
  authUrl: "",
  tokenUrl: "",
  jwksUrl: "",
  scopes: [],
  authorizationParams: {},
  apiBaseUrl: "",
  userInfoEndpoint: "",
  userInfoMapping: {},
  description: "",
  category: "",
  checkIntervalMs: undefined,
  refreshWindowMs: undefined,
  apiHosts: [],
  maxConcurrentRequests: 0,
  strategy: bearerStrategy,
  credentialSchema: undefined,
  params: {},
  oauth2: plainOAuth2,
  template: "",
  mcpServerUrl: "",
  identityProvider: "",
};

/** A profile with every optional field unset. */
export function aProfile(changes: Partial<ProviderProfile> = {}): ProviderProfile {
  const id = changes.id ?? newId();
  return {
    ...plainSettings,
    id,
    name: `name-${id}`,
    clientSecret: undefined,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    version: 1n,
    redirectPath: "",
    ...changes,
  };
}

/** A connection with every optional field unset. */
export function aConnection(changes: Partial<Connection> = {}): Connection {
  const id = changes.id ?? newId();
  const profile = { id: "p1", name: "name-p1", strategy: bearerStrategy };
  return { ...newConnection(id, { userId: `user of ${id}`, label: "" }, profile, nowMs), ...changes };
}

export function pending(
  connectionId: string,
  changes: Partial<PendingAuthorization> = {},
): PendingAuthorization {
  return {
    connectionId,
    providerId: "p1",
    providerVersion: 3n,
    scopes: [],
    returnUrl: undefined,
    redirectUri: "http://localhost:8080/auth/callback",
    expiresAtMs: nowMs + 600_000,
    sealed: sealed("authorization"),
    requireConfirmation: false,
    requestedBy: "owner",
    requestedFor: "",
    held: false,
    failedConfirmations: 0,
    isStepUp: false,
    ...changes,
  };
}

/** A well-formed hash that no other `number` has. */
export function stateHash(number: number): string {
  return number.toString(16).padStart(64, "0");
}

/** Of a caller that is not restricted. */
export const seesAll: Sight = {
  isRestricted: false,
  seesConnection: () => true,
  seesChange: () => true,
  seesProvider: () => true,
  epochOf: (epoch) => epoch,
};
