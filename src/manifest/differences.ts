import { isDeepStrictEqual } from "node:util";
import { strategyConfig } from "../model/credentials/strategy_config.js";
import type { JsonObject, JsonValue } from "../model/json.js";
import { durationText, isJsonObject } from "../model/json_fields.js";
import { withoutStrategy } from "../model/providers/contract_strategy.js";
import { optionsConfig } from "../model/providers/oauth2_options_config.js";
import type { ProviderSettings } from "../model/providers/provider_profile.js";

/** What stands in place of a secret. */
export const mask = "********";

/** One field that differs. A side that is undefined is not set. */
export interface Difference {
  /** Where, for example `oauth2_options.scope_separator`. */
  readonly field: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/** A setting by its name in the proto, and how it is shown: objects name by name. */
interface Field {
  readonly path: string;
  readonly key: keyof ProviderSettings;
  readonly show: (settings: ProviderSettings) => JsonValue;
  readonly oauth2Only?: true;
}

/** Headers and parameters of token requests carry keys as often as not. */
const maskedOptions = ["token_headers", "token_params", "refresh_params"];

const fields: readonly Field[] = [
  { path: "description", key: "description", show: ({ description }) => description },
  { path: "category", key: "category", show: ({ category }) => category },
  { path: "client_id", key: "clientId", show: ({ clientId }) => clientId },
  {
    path: "token_endpoint_auth_method",
    key: "tokenEndpointAuthMethod",
    show: ({ tokenEndpointAuthMethod }) => tokenEndpointAuthMethod,
    oauth2Only: true,
  },
  { path: "issuer", key: "issuer", show: ({ issuer }) => issuer },
  { path: "enable_discovery", key: "enableDiscovery", show: ({ enableDiscovery }) => enableDiscovery },
  { path: "auth_url", key: "authUrl", show: ({ authUrl }) => authUrl },
  { path: "token_url", key: "tokenUrl", show: ({ tokenUrl }) => tokenUrl },
  { path: "jwks_url", key: "jwksUrl", show: ({ jwksUrl }) => jwksUrl },
  { path: "scopes", key: "scopes", show: ({ scopes }) => [...scopes] },
  {
    path: "authorization_params",
    key: "authorizationParams",
    show: ({ authorizationParams }) => ({ ...authorizationParams }),
    oauth2Only: true,
  },
  { path: "api_base_url", key: "apiBaseUrl", show: ({ apiBaseUrl }) => apiBaseUrl },
  { path: "user_info_endpoint", key: "userInfoEndpoint", show: ({ userInfoEndpoint }) => userInfoEndpoint },
  {
    path: "refresh_window",
    key: "refreshWindowMs",
    show: ({ refreshWindowMs }) => (refreshWindowMs === undefined ? null : durationText(refreshWindowMs)),
  },
  {
    path: "strategy",
    key: "strategy",
    show: ({ strategy }) => ({ type: strategy.kind, ...strategyConfig(strategy) }),
  },
  {
    path: "credential_schema",
    key: "credentialSchema",
    show: ({ credentialSchema }) => credentialSchema ?? null,
  },
  { path: "params", key: "params", show: meaningfulParams },
  { path: "oauth2_options", key: "oauth2", show: ({ oauth2 }) => optionsConfig(oauth2), oauth2Only: true },
];

/** What two profiles of one type differ in, and the names of the settings that hold it, as an update mask wants them. */
export function differencesOf(
  before: ProviderSettings,
  after: ProviderSettings,
): {
  readonly differences: Difference[];
  readonly paths: string[];
  readonly settings: Partial<ProviderSettings>;
} {
  const changed = fields.filter(
    ({ show, oauth2Only }) =>
      !(oauth2Only && after.authType !== "oauth2") &&
      !isDeepStrictEqual(given(show(before)), given(show(after))),
  );
  return {
    differences: changed.flatMap(({ path, show }) =>
      difference(path, given(show(before)), given(show(after))),
    ),
    paths: changed.map(({ path }) => path),
    settings: Object.fromEntries(changed.map(({ key }) => [key, after[key]])),
  };
}

/**
 * What is left of `params` besides the settings: how a strategy was spelled says nothing that the strategy does not, and a text
 * beside an oauth2 profile could not be written in a manifest, where it is an authorization parameter.
 */
export function meaningfulParams({ authType, params }: ProviderSettings): JsonObject {
  const rest = Object.entries(withoutStrategy(params));
  return Object.fromEntries(rest.filter(([, value]) => authType !== "oauth2" || typeof value !== "string"));
}

/** Undefined for what counts as not set. */
function given(value: JsonValue): JsonValue | undefined {
  const isEmpty =
    value === null ||
    value === "" ||
    value === false ||
    (typeof value === "object" && Object.keys(value).length === 0);
  return isEmpty ? undefined : value;
}

function difference(
  field: string,
  before: JsonValue | undefined,
  after: JsonValue | undefined,
): Difference[] {
  const isOpaque = field === "credential_schema";
  if (isOpaque || !(isJsonObject(before) || isJsonObject(after))) return [{ field, before, after }];
  const was = isJsonObject(before) ? before : {};
  const is = isJsonObject(after) ? after : {};
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((name) => !isDeepStrictEqual(was[name], is[name]))
    .flatMap((name) => {
      const inside = `${field}.${name}`;
      if (field !== "oauth2_options" || !maskedOptions.includes(name)) {
        return [{ field: inside, before: was[name], after: is[name] }];
      }
      return difference(inside, was[name], is[name]).map((each) => ({
        field: each.field,
        before: each.before === undefined ? undefined : mask,
        after: each.after === undefined ? undefined : mask,
      }));
    });
}
