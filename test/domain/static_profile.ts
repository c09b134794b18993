import type { JsonObject, JsonValue } from "../../src/model/json.js";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import type { ProviderSettings } from "../../src/model/providers/provider_profile.js";

/** Settings of an API-key profile. */
export function profileOf(more: Partial<ProviderSettings> = {}): ProviderSettings {
  return {
    name: "acme",
    authType: "api_key",
    clientId: "",
    tokenEndpointAuthMethod: "client_secret_post",
    issuer: "",
    enableDiscovery: false,
    authUrl: "",
    tokenUrl: "",
    jwksUrl: "",
    scopes: [],
    authorizationParams: {},
    apiBaseUrl: "",
    userInfoEndpoint: "",
    description: "",
    category: "",
    refreshWindowMs: undefined,
    strategy: { kind: "header", headerName: "X-Key", valuePrefix: "", credentialField: "api_key" },
    credentialSchema: undefined,
    params: {},
    oauth2: plainOAuth2,
    template: "",
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
