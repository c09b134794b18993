import type { JsonObject, JsonValue } from "../../src/model/json.js";
import type { ProviderSettings } from "../../src/model/providers/provider_profile.js";
import { plainSettings } from "../samples.js";

/** Settings of an API-key profile. */
export function profileOf(more: Partial<ProviderSettings> = {}): ProviderSettings {
  return {
    ...plainSettings,
    name: "acme",
    authType: "api_key",
    clientId: "",
    tokenEndpointAuthMethod: "client_secret_post",
    strategy: { kind: "header", headerName: "X-Key", valuePrefix: "", credentialField: "api_key" },
    ...more,
  };
}

/** A schema with the field `api_key` and `properties`. */
export function schemaWith(properties: JsonObject): JsonObject {
  return {
    type: "object",
    properties: { api_key: { type: "string" }, ...properties },
    required: ["api_key"],
  };
}

export function nestedJson(depth: number): JsonValue {
  let value: JsonValue = "x";
  for (let each = 0; each < depth; each += 1) value = [value];
  return value;
}
