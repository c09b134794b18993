import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { type Provider, ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { givenProfile } from "../../manifest/manifest_text.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { profileOfContract } from "../../model/providers/contract_profile.js";
import type { ProviderSettings } from "../../model/providers/provider_profile.js";

/** Enums by their fields, and what stands before their words in protobuf JSON. */
const enumPrefixes: Readonly<Record<string, string>> = {
  auth_type: "AUTH_TYPE_",
  token_endpoint_auth_method: "TOKEN_ENDPOINT_AUTH_METHOD_",
  token_request_format: "TOKEN_REQUEST_FORMAT_",
};

/** The settings that an answer of the daemon holds. */
export function settingsOfMessage(message: Provider): ProviderSettings {
  const json = toJson(ProviderSchema, message, { useProtoFieldName: true }) as JsonObject;
  const { params, ...fields } = withEnums(json, (prefix, word) => word.replace(prefix, "").toLowerCase());
  const { settings, violations } = profileOfContract(fields);
  if (violations.length > 0) {
    throw new Error(
      `the daemon answered a profile that cannot be read: ${violations.map(({ field }) => field)}`,
    );
  }
  return { ...settings, params: isJsonObject(params) ? params : {}, template: message.template };
}

/** The message that says all of the settings. */
export function messageOfSettings(settings: ProviderSettings): Provider {
  const { strategy, ...given } = givenProfile(settings);
  const json = withEnums(given, (prefix, word) => `${prefix}${word.toUpperCase()}`);
  if (isJsonObject(strategy)) json["strategy"] = { [String(strategy["type"])]: strategy["config"] ?? {} };
  return create(ProviderSchema, fromJson(ProviderSchema, json));
}

function withEnums(json: JsonObject, word: (prefix: string, word: string) => string): JsonObject {
  const converted = (name: string, value: JsonValue): JsonValue => {
    const prefix = enumPrefixes[name];
    if (prefix !== undefined && typeof value === "string") {
      return value === `${prefix}UNSPECIFIED` ? null : word(prefix, value);
    }
    return name === "oauth2_options" && isJsonObject(value) ? withEnums(value, word) : value;
  };
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, converted(name, value)]));
}
