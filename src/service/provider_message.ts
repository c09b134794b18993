import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { ProviderChange } from "../domain/provider_registry.js";
import {
  AuthType,
  type Provider,
  ProviderSchema,
  TokenEndpointAuthMethod,
} from "../gen/nexus/v1/provider_pb.js";
import { type FieldViolation, InvalidArgument, Unimplemented } from "../model/errors.js";
import {
  type TokenEndpointAuthMethod as AuthMethod,
  canonicalName,
  type ProviderProfile,
  type ProviderSettings,
} from "../model/provider_profile.js";
import { Secret } from "../runtime/secret.js";
import { timestampOf } from "./timestamps.js";

const authMethods: Readonly<Record<AuthMethod, TokenEndpointAuthMethod>> = {
  client_secret_post: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
  client_secret_basic: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
  none: TokenEndpointAuthMethod.NONE,
};

export function providerMessage(profile: ProviderProfile): Provider {
  const message = create(ProviderSchema, {
    id: profile.id,
    name: profile.name,
    authType: AuthType.OAUTH2,
    clientId: profile.clientId,
    clientSecretSet: profile.clientSecret !== undefined,
    tokenEndpointAuthMethod: authMethods[profile.tokenEndpointAuthMethod],
    issuer: profile.issuer,
    enableDiscovery: profile.enableDiscovery,
    authUrl: profile.authUrl,
    tokenUrl: profile.tokenUrl,
    jwksUrl: profile.jwksUrl,
    scopes: [...profile.scopes],
    authorizationParams: { ...profile.authorizationParams },
    apiBaseUrl: profile.apiBaseUrl,
    userInfoEndpoint: profile.userInfoEndpoint,
    description: profile.description,
    category: profile.category,
    etag: etagOf(profile),
  });
  const createdAt = timestampOf(profile.createdAtMs);
  const updatedAt = timestampOf(profile.updatedAtMs);
  if (createdAt) message.createdAt = createdAt;
  if (updatedAt) message.updatedAt = updatedAt;
  if (profile.refreshWindowMs !== undefined) message.refreshWindow = durationFromMs(profile.refreshWindowMs);
  return message;
}

function etagOf(profile: ProviderProfile): string {
  return `v${profile.version}`;
}

/** @throws InvalidArgument when it is not an etag that this server wrote */
export function versionOfEtag(etag: string): bigint | undefined {
  if (etag === "") return undefined;
  if (!/^v[1-9][0-9]{0,17}$/.test(etag)) {
    throw new InvalidArgument([{ field: "etag", description: "must be the etag of an answer" }]);
  }
  return BigInt(etag.slice(1));
}

/** Settings of a profile that is to be created. @throws Unimplemented for static types */
export function settingsOf(message: Provider): ProviderSettings {
  if (message.authType !== AuthType.UNSPECIFIED && message.authType !== AuthType.OAUTH2) {
    throw new Unimplemented("only auth_type AUTH_TYPE_OAUTH2 is served by this release");
  }
  refuseStaticFields(message);
  return {
    name: canonicalName(message.name),
    authType: "oauth2",
    clientId: message.clientId,
    tokenEndpointAuthMethod: authMethodOf(message.tokenEndpointAuthMethod),
    issuer: message.issuer,
    enableDiscovery: message.enableDiscovery,
    authUrl: message.authUrl,
    tokenUrl: message.tokenUrl,
    jwksUrl: message.jwksUrl,
    scopes: [...message.scopes],
    authorizationParams: { ...message.authorizationParams },
    apiBaseUrl: message.apiBaseUrl,
    userInfoEndpoint: message.userInfoEndpoint,
    description: message.description,
    category: message.category,
    refreshWindowMs: message.refreshWindow && durationMs(message.refreshWindow),
  };
}

export function clientSecretOf(message: Provider): Secret | undefined {
  return message.clientSecret === "" ? undefined : new Secret(message.clientSecret);
}

function authMethodOf(method: TokenEndpointAuthMethod): AuthMethod {
  if (method === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC) return "client_secret_basic";
  return method === TokenEndpointAuthMethod.NONE ? "none" : "client_secret_post";
}

function refuseStaticFields(message: Provider): void {
  const faults: FieldViolation[] = [];
  const description = "is for static types, which this release does not serve";
  if (message.strategy) faults.push({ field: "provider.strategy", description });
  if (message.credentialSchema) faults.push({ field: "provider.credential_schema", description });
  if (faults.length > 0) throw new InvalidArgument(faults);
}

/** Settings that a field mask can name, by their names in the proto. */
const maskable: Readonly<Record<string, keyof ProviderSettings>> = {
  name: "name",
  client_id: "clientId",
  token_endpoint_auth_method: "tokenEndpointAuthMethod",
  issuer: "issuer",
  enable_discovery: "enableDiscovery",
  auth_url: "authUrl",
  token_url: "tokenUrl",
  jwks_url: "jwksUrl",
  scopes: "scopes",
  authorization_params: "authorizationParams",
  api_base_url: "apiBaseUrl",
  user_info_endpoint: "userInfoEndpoint",
  description: "description",
  category: "category",
  refresh_window: "refreshWindowMs",
};

/** What `paths` name of `message`. @throws InvalidArgument naming each path that cannot be changed */
export function changeOf(message: Provider, paths: readonly string[]): ProviderChange {
  const unknown = paths.filter((path) => path !== "client_secret" && !Object.hasOwn(maskable, path));
  if (paths.length === 0) {
    throw new InvalidArgument([{ field: "update_mask", description: "must name at least one field" }]);
  }
  if (unknown.length > 0) {
    const names = ["client_secret", ...Object.keys(maskable)].join(", ");
    throw new InvalidArgument(
      unknown.map((path) => ({
        field: `update_mask.paths[${paths.indexOf(path)}]`,
        description: `${JSON.stringify(path.slice(0, 64))} cannot be changed; these can: ${names}`,
      })),
    );
  }
  const all = settingsOf({ ...message, authType: AuthType.OAUTH2 });
  const settings = Object.fromEntries(
    paths.flatMap((path) => {
      const key = maskable[path];
      return key === undefined ? [] : [[key, all[key]]];
    }),
  );
  return paths.includes("client_secret")
    ? { settings, clientSecret: clientSecretOf(message) ?? null }
    : { settings };
}
