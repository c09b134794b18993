import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { ProviderChange } from "../domain/provider_registry.js";
import { type Provider, ProviderSchema, TokenEndpointAuthMethod } from "../gen/nexus/v1/provider_pb.js";
import { InvalidArgument } from "../model/errors.js";
import type { JsonObject } from "../model/json.js";
import {
  type TokenEndpointAuthMethod as AuthMethod,
  authTypes,
  canonicalName,
  type AuthType as ModelAuthType,
  type ProviderProfile,
  type ProviderSettings,
  strategiesOfType,
} from "../model/provider_profile.js";
import type { Strategy } from "../model/strategy.js";
import { strategyOfConfig } from "../model/strategy_config.js";
import { Secret } from "../runtime/secret.js";
import { optionsMessage, optionsOf } from "./oauth2_options_message.js";
import { strategyMessage, strategyOf } from "./strategy_message.js";
import { timestampOf } from "./timestamps.js";

const authMethods: Readonly<Record<AuthMethod, TokenEndpointAuthMethod>> = {
  client_secret_post: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
  client_secret_basic: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
  none: TokenEndpointAuthMethod.NONE,
};

export function providerMessage(profile: ProviderProfile): Provider {
  const message = settingsMessage(profile);
  message.id = profile.id;
  message.clientSecretSet = profile.clientSecret !== undefined;
  message.etag = etagOf(profile);
  const createdAt = timestampOf(profile.createdAtMs);
  const updatedAt = timestampOf(profile.updatedAtMs);
  if (createdAt) message.createdAt = createdAt;
  if (updatedAt) message.updatedAt = updatedAt;
  return message;
}

/** The fields that a caller can set, without the secret. */
export function settingsMessage(profile: ProviderSettings): Provider {
  const message = create(ProviderSchema, {
    name: profile.name,
    authType: authTypes.indexOf(profile.authType) + 1,
    clientId: profile.clientId,
    tokenEndpointAuthMethod:
      profile.authType === "oauth2"
        ? authMethods[profile.tokenEndpointAuthMethod]
        : TokenEndpointAuthMethod.UNSPECIFIED,
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
    strategy: strategyMessage(profile.strategy),
    template: profile.template,
  });
  if (profile.authType === "oauth2") message.oauth2Options = optionsMessage(profile.oauth2);
  if (profile.credentialSchema) message.credentialSchema = profile.credentialSchema;
  if (Object.keys(profile.params).length > 0) message.params = profile.params;
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

/** Settings of a profile that is to be created. @throws InvalidArgument for a strategy that is missing */
export function settingsOf(message: Provider): ProviderSettings {
  const authType = authTypes[message.authType - 1] ?? "oauth2";
  return {
    name: canonicalName(message.name),
    authType,
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
    strategy: strategyFor(authType, message),
    credentialSchema: message.credentialSchema as JsonObject | undefined,
    params: (message.params as JsonObject | undefined) ?? {},
    oauth2: optionsOf(message.oauth2Options),
    template: "",
  };
}

/** The strategy of the message, or the natural one of the type, which has its own for `query_param` and the two signers. */
function strategyFor(authType: ModelAuthType, message: Provider): Strategy {
  const given = strategyOf(message.strategy);
  if (authType === "api_key" && (given === undefined || given.kind === "header")) {
    // The key goes out as a bearer token unless the profile names a header or a prefix of its own.
    const bare = given === undefined || (given.headerName === "Authorization" && given.valuePrefix === "");
    return {
      kind: "header",
      headerName: "Authorization",
      credentialField: "api_key",
      ...given,
      ...(bare ? { valuePrefix: "Bearer " } : { valuePrefix: given.valuePrefix }),
    };
  }
  return given ?? (strategyOfConfig(strategiesOfType[authType][0] ?? authType, {}) as Strategy);
}

export function clientSecretOf(message: Provider): Secret | undefined {
  return message.clientSecret === "" ? undefined : new Secret(message.clientSecret);
}

function authMethodOf(method: TokenEndpointAuthMethod): AuthMethod {
  if (method === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC) return "client_secret_basic";
  return method === TokenEndpointAuthMethod.NONE ? "none" : "client_secret_post";
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
  strategy: "strategy",
  credential_schema: "credentialSchema",
  params: "params",
  oauth2_options: "oauth2",
};

/** Several times what a field mask can name: some name a field twice. */
const maxMaskPaths = 100;

/** Every path that a field mask can name. */
export const changeablePaths: readonly string[] = ["client_secret", ...Object.keys(maskable)];

/**
 * What `paths` name of `message`.
 *
 * @param authType of the profile, which cannot be changed
 * @throws InvalidArgument naming each path that cannot be changed
 */
export function changeOf(
  message: Provider,
  paths: readonly string[],
  authType: ModelAuthType,
): ProviderChange {
  if (paths.length > maxMaskPaths) {
    const description = `must name at most ${maxMaskPaths} fields, not ${paths.length}`;
    throw new InvalidArgument([{ field: "update_mask", description }]);
  }
  const unknown = [...paths.entries()].filter(
    ([, path]) => path !== "client_secret" && !Object.hasOwn(maskable, path),
  );
  if (paths.length === 0) {
    throw new InvalidArgument([{ field: "update_mask", description: "must name at least one field" }]);
  }
  if (unknown.length > 0) {
    const names = changeablePaths.join(", ");
    throw new InvalidArgument(
      unknown.map(([index, path]) => ({
        field: `update_mask.paths[${index}]`,
        description: `${JSON.stringify(path.slice(0, 64))} cannot be changed; these can: ${names}`,
      })),
    );
  }
  const all = settingsOf({ ...message, authType: authTypes.indexOf(authType) + 1 });
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
