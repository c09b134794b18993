import { Secret } from "../../runtime/secret.js";
import type { FieldViolation } from "../errors.js";
import type { JsonObject } from "../json.js";
import { durationText, isJsonObject, JsonFields } from "../json_fields.js";
import { canBeExtraParam, readContractParams, withoutExtraParams } from "./contract_params.js";
import {
  contractOfStrategy,
  strategyOfContract,
  strategyOfJson,
  withoutStrategy,
} from "./contract_strategy.js";
import { optionsConfig, optionsOfConfig } from "./oauth2_options_config.js";
import {
  authTypes,
  canonicalName,
  type ProviderSettings,
  type TokenEndpointAuthMethod,
  tokenEndpointAuthMethods,
} from "./provider_profile.js";

/** Keys of a profile in the existing contract's JSON, and those that say what it cannot. */
export const contractKeys: readonly string[] = [
  "name",
  "auth_type",
  "client_id",
  "client_secret",
  "auth_url",
  "token_url",
  "issuer",
  "enable_discovery",
  "scopes",
  "auth_header",
  "auth_strategy",
  "api_base_url",
  "user_info_endpoint",
  "description",
  "category",
  "params",
  // Beyond the contract; each wins over what the keys above say of the same.
  "token_endpoint_auth_method",
  "jwks_url",
  "authorization_params",
  "refresh_window",
  "strategy",
  "credential_schema",
  "oauth2_options",
];

/** What a profile in JSON says. `providerViolations` has not judged it yet. */
export interface ProfileDraft {
  readonly settings: ProviderSettings;
  /** Undefined when the JSON does not name it, null when it names it empty. */
  readonly clientSecret: Secret | null | undefined;
  /** Fields of the wrong type, unknown words, parameters of the protocol; by their path in the JSON. */
  readonly violations: readonly FieldViolation[];
}

/** Reads a whole profile. Keys that are not known are left to the caller. */
export function profileOfContract(json: JsonObject): ProfileDraft {
  const violations: FieldViolation[] = [];
  const fields = new JsonFields(json, violations);
  const authType = fields.word("auth_type", authTypes) ?? "oauth2";
  const isOAuth2 = authType === "oauth2";
  for (const name of ["token_endpoint_auth_method", "authorization_params", "oauth2_options"]) {
    if (!isOAuth2 && fields.has(name)) fields.violation(name, `is for oauth2, not for ${authType}`);
  }
  const given = fields.object("params") ?? {};
  const params = readContractParams(given, isOAuth2, violations);
  const authHeader = fields.text("auth_header");
  const typed = fields.object("strategy");
  const spelling = { authHeader, authStrategy: json["auth_strategy"], params: given };
  const method = fields.word("token_endpoint_auth_method", tokenEndpointAuthMethods);
  const skips = {
    ...(params.skipScopeOnAuth ? { skip_scope_on_auth: true } : {}),
    ...(params.skipScopeOnExchange ? { skip_scope_on_exchange: true } : {}),
  };
  const options = { ...(isOAuth2 ? skips : {}), ...(isOAuth2 ? fields.object("oauth2_options") : {}) };
  const clientSecret = fields.text("client_secret");
  return {
    settings: {
      name: canonicalName(fields.text("name")),
      authType,
      clientId: fields.text("client_id"),
      tokenEndpointAuthMethod: method ?? (isOAuth2 ? methodOfHeader(authHeader) : "client_secret_post"),
      issuer: fields.text("issuer"),
      enableDiscovery: fields.flag("enable_discovery"),
      authUrl: fields.text("auth_url"),
      tokenUrl: fields.text("token_url"),
      jwksUrl: fields.text("jwks_url"),
      scopes: fields.texts("scopes"),
      authorizationParams: {
        ...params.authorizationParams,
        ...(isOAuth2 ? fields.textMap("authorization_params") : {}),
      },
      apiBaseUrl: fields.text("api_base_url"),
      userInfoEndpoint: fields.text("user_info_endpoint"),
      description: fields.text("description"),
      category: fields.text("category"),
      refreshWindowMs: fields.durationMs("refresh_window"),
      strategy: typed
        ? strategyOfJson(authType, typed, violations)
        : strategyOfContract(authType, spelling, violations),
      credentialSchema: fields.object("credential_schema") ?? params.credentialSchema,
      params: {
        ...(typed ? withoutStrategy(params.rest) : params.rest),
        ...(isOAuth2 && authHeader !== plainHeader(methodOfHeader(authHeader))
          ? { auth_header: authHeader }
          : {}),
      },
      oauth2: optionsOfConfig(options, violations, "oauth2_options."),
      template: "",
    },
    clientSecret: Object.hasOwn(json, "client_secret")
      ? clientSecret === ""
        ? null
        : new Secret(clientSecret)
      : undefined,
    violations,
  };
}

/** Reads a profile of which only the fields that are present change. The type cannot. */
export function changeOfContract(before: ProviderSettings, patch: JsonObject): ProfileDraft {
  const { settings, clientSecret, violations } = profileOfContract({
    ...baseOf(before, patch),
    ...patch,
    auth_type: before.authType,
  });
  const { auth_type: wanted } = patch;
  const isAnother = wanted !== undefined && wanted !== null && wanted !== "" && wanted !== before.authType;
  const violation = { field: "auth_type", description: `cannot be changed: it is ${before.authType}` };
  return {
    settings: { ...settings, template: before.template },
    clientSecret,
    violations: isAnother ? [...violations, violation] : violations,
  };
}

/** The contract's JSON of a profile before a change, without what would win over the change. */
function baseOf(before: ProviderSettings, patch: JsonObject): JsonObject {
  const base = contractOfProfile(before);
  let params = isJsonObject(base["params"]) ? base["params"] : {};
  const drop = (...names: string[]): void => {
    params = Object.fromEntries(Object.entries(params).filter(([name]) => !names.includes(name)));
  };
  const patchParams = isJsonObject(patch["params"]) ? patch["params"] : {};
  if (Object.hasOwn(patchParams, "auth_strategy")) delete base["auth_strategy"];
  if (Object.hasOwn(patch, "auth_strategy")) drop("auth_strategy");
  if (Object.hasOwn(patch, "auth_header")) {
    delete base["token_endpoint_auth_method"];
    drop("auth_strategy", "header_name");
  }
  if (Object.hasOwn(patch, "authorization_params")) params = withoutExtraParams(params);
  if (Object.hasOwn(patch, "credential_schema")) drop("credential_schema");
  if (Object.hasOwn(patch, "oauth2_options")) drop("skip_scope_on_auth", "skip_scope_on_exchange");
  return { ...base, params };
}

/** The contract's JSON of a profile, without its secret. `profileOfContract` reads the same settings out of it. */
export function contractOfProfile(settings: ProviderSettings): JsonObject {
  const isOAuth2 = settings.authType === "oauth2";
  const { auth_header: spelledHeader, ...others } = settings.params;
  const kept = isOAuth2 ? others : settings.params;
  const spelling = contractOfStrategy(settings.authType, settings.strategy, kept);
  const { skip_scope_on_auth, skip_scope_on_exchange, ...options } = optionsConfig(settings.oauth2);
  const extras = Object.entries(settings.authorizationParams);
  const hidden = Object.fromEntries(extras.filter(([name]) => !canBeExtraParam(name)));
  return {
    name: settings.name,
    auth_type: settings.authType,
    client_id: settings.clientId,
    auth_url: settings.authUrl,
    token_url: settings.tokenUrl,
    issuer: settings.issuer,
    enable_discovery: settings.enableDiscovery,
    scopes: [...settings.scopes],
    auth_header: isOAuth2 ? headerOf(settings.tokenEndpointAuthMethod, spelledHeader) : spelling.authHeader,
    auth_strategy: spelling.authStrategy ?? "",
    api_base_url: settings.apiBaseUrl,
    user_info_endpoint: settings.userInfoEndpoint,
    description: settings.description,
    category: settings.category,
    params: {
      ...Object.fromEntries(extras.filter(([name]) => canBeExtraParam(name))),
      ...spelling.params,
      ...(settings.credentialSchema ? { credential_schema: settings.credentialSchema } : {}),
      ...(skip_scope_on_auth === undefined ? {} : { skip_scope_on_auth }),
      ...(skip_scope_on_exchange === undefined ? {} : { skip_scope_on_exchange }),
    },
    ...(isOAuth2 && settings.tokenEndpointAuthMethod === "none"
      ? { token_endpoint_auth_method: "none" }
      : {}),
    ...(settings.jwksUrl === "" ? {} : { jwks_url: settings.jwksUrl }),
    ...(Object.keys(hidden).length === 0 ? {} : { authorization_params: hidden }),
    ...(settings.refreshWindowMs === undefined
      ? {}
      : { refresh_window: durationText(settings.refreshWindowMs) }),
    ...(isOAuth2 && Object.keys(options).length > 0 ? { oauth2_options: options } : {}),
  };
}

/** `auth_header` of oauth2: two words mean HTTP Basic, everything else the body. */
function methodOfHeader(authHeader: string): TokenEndpointAuthMethod {
  return ["client_secret_basic", "basic"].includes(authHeader.toLowerCase())
    ? "client_secret_basic"
    : "client_secret_post";
}

function plainHeader(method: TokenEndpointAuthMethod): string {
  return method === "client_secret_basic" ? method : "";
}

/** As it was written, as long as that still says the method. */
function headerOf(method: TokenEndpointAuthMethod, spelled: JsonObject[string] | undefined): string {
  const plain = plainHeader(method);
  return typeof spelled === "string" && plainHeader(methodOfHeader(spelled)) === plain ? spelled : plain;
}
