import { isDeepStrictEqual } from "node:util";
import { stringify } from "yaml";
import { strategyConfig } from "../model/credentials/strategy_config.js";
import type { JsonObject, JsonValue } from "../model/json.js";
import { durationText, isJsonObject } from "../model/json_fields.js";
import { defaultStrategyOf } from "../model/providers/contract_strategy.js";
import { optionsConfig } from "../model/providers/oauth2_options_config.js";
import type { ProviderSettings } from "../model/providers/provider_profile.js";
import { meaningfulParams } from "./differences.js";
import type { CurrentProfile } from "./plan.js";
import { escapeVariables } from "./variables.js";

/** `manifestJson` as YAML. */
export function manifestText(profiles: readonly CurrentProfile[]): string {
  return stringify(manifestJson(profiles), { lineWidth: 0 });
}

/**
 * Profiles as a manifest. A plan of it is clean: what has its default is left out, a dollar sign is doubled, and each client secret is
 * a variable.
 */
export function manifestJson(profiles: readonly CurrentProfile[]): JsonObject {
  const providers = profiles.map(({ settings, clientSecretSet }) => {
    const { name = "", auth_type = "", ...rest } = escaped(givenProfile(settings)) as JsonObject;
    const secret = clientSecretSet ? { client_secret: `\${${secretVariable(settings.name)}}` } : {};
    return { name, auth_type, ...secret, ...rest };
  });
  return { providers };
}

/** `${GITHUB_CLIENT_SECRET}` stands for the secret of `github`. */
export function secretVariable(name: string): string {
  const variable = `${name.toUpperCase().replaceAll("-", "_")}_CLIENT_SECRET`;
  return /^\d/.test(variable) ? `_${variable}` : variable;
}

/** The settings of a profile that are not the default, by their names in a manifest and in the proto. */
export function givenProfile(settings: ProviderSettings): JsonObject {
  const isOAuth2 = settings.authType === "oauth2";
  const method = settings.tokenEndpointAuthMethod;
  const { strategy } = settings;
  const isDefaultStrategy = isDeepStrictEqual(strategy, defaultStrategyOf(settings.authType));
  const all: JsonObject = {
    name: settings.name,
    auth_type: settings.authType,
    description: settings.description,
    category: settings.category,
    client_id: settings.clientId,
    token_endpoint_auth_method: isOAuth2 && method !== "client_secret_post" ? method : "",
    issuer: settings.issuer,
    enable_discovery: settings.enableDiscovery,
    auth_url: settings.authUrl,
    token_url: settings.tokenUrl,
    jwks_url: settings.jwksUrl,
    scopes: [...settings.scopes],
    authorization_params: isOAuth2 ? { ...settings.authorizationParams } : {},
    api_base_url: settings.apiBaseUrl,
    user_info_endpoint: settings.userInfoEndpoint,
    refresh_window: settings.refreshWindowMs === undefined ? "" : durationText(settings.refreshWindowMs),
    strategy: isDefaultStrategy ? {} : { type: strategy.kind, config: strategyConfig(strategy) },
    params: meaningfulParams(settings),
    oauth2_options: isOAuth2 ? optionsConfig(settings.oauth2) : {},
  };
  const given = Object.entries(all).filter(([, value]) => !isEmpty(value));
  const schema = settings.credentialSchema;
  return { ...Object.fromEntries(given), ...(schema ? { credential_schema: schema } : {}) };
}

function isEmpty(value: JsonValue): boolean {
  return (
    value === "" || value === false || (typeof value === "object" && Object.keys(value ?? {}).length === 0)
  );
}

function escaped(value: JsonValue): JsonValue {
  if (typeof value === "string") return escapeVariables(value);
  if (Array.isArray(value)) return value.map(escaped);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, escaped(inner)]));
}
