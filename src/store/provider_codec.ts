import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type OAuth2OptionsRecord,
  OAuth2OptionsRecordSchema,
  ProviderRecordSchema,
} from "../gen/nexus/store/v1/records_pb.js";
import type { JsonObject } from "../model/json.js";
import { type OAuth2Options, plainOAuth2 } from "../model/oauth2_options.js";
import { authTypes, type ProviderProfile, tokenEndpointAuthMethods } from "../model/provider_profile.js";
import { decodeTime, decodeWord, encodeTime, encodeWord } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";
import { fromStrategyMessage, toStrategyMessage } from "./strategy_codec.js";

export function encodeProvider(profile: ProviderProfile): Uint8Array {
  const { clientSecret, authorizationParams, ...same } = profile;
  const record = create(ProviderRecordSchema, {
    id: same.id,
    name: same.name,
    authType: encodeWord(authTypes, same.authType),
    clientId: same.clientId,
    tokenEndpointAuthMethod: same.tokenEndpointAuthMethod,
    issuer: same.issuer,
    enableDiscovery: same.enableDiscovery,
    authUrl: same.authUrl,
    tokenUrl: same.tokenUrl,
    jwksUrl: same.jwksUrl,
    scopes: [...same.scopes],
    authorizationParams: { ...authorizationParams },
    apiBaseUrl: same.apiBaseUrl,
    userInfoEndpoint: same.userInfoEndpoint,
    description: same.description,
    category: same.category,
    createdAtMs: BigInt(same.createdAtMs),
    updatedAtMs: BigInt(same.updatedAtMs),
    version: same.version,
    refreshWindowMs: encodeTime(same.refreshWindowMs),
    strategy: toStrategyMessage(same.strategy),
    credentialSchemaJson: same.credentialSchema === undefined ? "" : JSON.stringify(same.credentialSchema),
    paramsJson: Object.keys(same.params).length === 0 ? "" : JSON.stringify(same.params),
    oauth2Options: toOptionsMessage(same.oauth2),
    template: same.template,
    redirectPath: same.redirectPath,
  });
  if (clientSecret !== undefined) record.clientSecret = toSealedMessage(clientSecret);
  return toBinary(ProviderRecordSchema, record);
}

/** @throws RangeError on a word that this version does not know */
export function decodeProvider(bytes: Uint8Array): ProviderProfile {
  const record = fromBinary(ProviderRecordSchema, bytes);
  const method = tokenEndpointAuthMethods.find((word) => word === record.tokenEndpointAuthMethod);
  if (method === undefined) {
    throw new RangeError(`unknown token endpoint authentication method ${record.tokenEndpointAuthMethod}`);
  }
  return {
    id: record.id,
    name: record.name,
    authType: decodeWord(authTypes, record.authType),
    clientId: record.clientId,
    clientSecret: record.clientSecret && fromSealedMessage(record.clientSecret),
    tokenEndpointAuthMethod: method,
    issuer: record.issuer,
    enableDiscovery: record.enableDiscovery,
    authUrl: record.authUrl,
    tokenUrl: record.tokenUrl,
    jwksUrl: record.jwksUrl,
    scopes: record.scopes,
    authorizationParams: record.authorizationParams,
    apiBaseUrl: record.apiBaseUrl,
    userInfoEndpoint: record.userInfoEndpoint,
    description: record.description,
    category: record.category,
    createdAtMs: Number(record.createdAtMs),
    updatedAtMs: Number(record.updatedAtMs),
    version: record.version,
    refreshWindowMs: decodeTime(record.refreshWindowMs),
    strategy: fromStrategyMessage(record.strategy),
    credentialSchema: decodeJson(record.credentialSchemaJson),
    params: decodeJson(record.paramsJson) ?? {},
    oauth2: record.oauth2Options ? fromOptionsMessage(record.oauth2Options) : plainOAuth2,
    template: record.template,
    redirectPath: record.redirectPath,
  };
}

function decodeJson(text: string): JsonObject | undefined {
  return text === "" ? undefined : (JSON.parse(text) as JsonObject);
}

function toOptionsMessage(options: OAuth2Options): OAuth2OptionsRecord {
  return create(OAuth2OptionsRecordSchema, {
    ...options,
    tokenParams: { ...options.tokenParams },
    refreshParams: { ...options.refreshParams },
    tokenHeaders: { ...options.tokenHeaders },
    defaultLifetimeMs: encodeTime(options.defaultLifetimeMs),
    callbackMetadata: [...options.callbackMetadata],
    tokenMetadata: [...options.tokenMetadata],
    invalidGrantAliases: [...options.invalidGrantAliases],
  });
}

function fromOptionsMessage(record: OAuth2OptionsRecord): OAuth2Options {
  const { $typeName: _, $unknown: __, ...options } = record;
  return {
    ...options,
    scopeSeparator: record.scopeSeparator === "" ? " " : record.scopeSeparator,
    tokenRequestFormat: record.tokenRequestFormat === "json" ? "json" : "form",
    defaultLifetimeMs: decodeTime(record.defaultLifetimeMs),
  };
}
