import { isDeepStrictEqual } from "node:util";
import { stringify } from "yaml";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { defaultStrategyOf } from "../../model/providers/contract_strategy.js";
import { oauth2Fields } from "../../model/providers/profile_fields.js";
import { givenSettings } from "../../model/providers/profile_json.js";
import type { ProviderSettings } from "../../model/providers/provider_profile.js";
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
function givenProfile(settings: ProviderSettings): JsonObject {
  const { template: _, ...given } = givenSettings({ ...settings, params: meaningfulParams(settings) });
  const isDefault = (name: string): boolean => {
    if (name === "strategy")
      return isDeepStrictEqual(settings.strategy, defaultStrategyOf(settings.authType));
    if (settings.authType !== "oauth2") return oauth2Fields.includes(name);
    if (name === "grant_type") return settings.grantType === "authorization_code";
    return name === "token_endpoint_auth_method" && settings.tokenEndpointAuthMethod === "client_secret_post";
  };
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isDefault(name)));
}

function escaped(value: JsonValue): JsonValue {
  if (typeof value === "string") return escapeVariables(value);
  if (Array.isArray(value)) return value.map(escaped);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, escaped(inner)]));
}
