import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ProviderRecordSchema } from "../gen/nexus/store/v1/records_pb.js";
import { type ProviderProfile, tokenEndpointAuthMethods } from "../model/provider_profile.js";
import { decodeTime, decodeWord, encodeTime, encodeWord } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

/** In the order of `nexus.v1.AuthType`, from 1. */
const authTypes = ["oauth2"] as const;

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
  };
}
