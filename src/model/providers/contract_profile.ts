import { Secret } from "../../runtime/secret.js";
import type { FieldViolation } from "../errors.js";
import type { JsonObject } from "../json.js";
import { isJsonObject, JsonFields } from "../json_fields.js";
import { canBeExtraParam, readContractParams, withoutExtraParams } from "./contract_params.js";
import {
  contractOfStrategy,
  strategyOfContract,
  strategyOfJson,
  withoutStrategy,
} from "./contract_strategy.js";
import {
  authTypes,
  grantTypes,
  oauth2Fields,
  plainOAuth2,
  profileFields,
  settingOf,
  tokenEndpointAuthMethods,
} from "./profile_fields.js";
import { isEmptyJson, optionsConfig, optionsOfConfig, readSetting, settingJson } from "./profile_json.js";
import type { AuthType, ProviderSettings, TokenEndpointAuthMethod } from "./profile_settings.js";
import { canonicalName } from "./provider_profile.js";

/** Keys of a profile in the JSON of the existing contract that are always reported, whatever they hold. */
const contractsOwn: readonly string[] = [
  "name",
  "auth_type",
  "client_id",
  "auth_url",
  "token_url",
  "issuer",
  "enable_discovery",
  "scopes",
  "api_base_url",
  "user_info_endpoint",
  "description",
  "category",
];

/** Settings that the contract says in its own way, or in several. */
const special: readonly string[] = [
  "name",
  "auth_type",
  ...oauth2Fields,
  "strategy",
  "credential_schema",
  "params",
  "template",
];
const plainFields = profileFields.filter(({ name }) => !special.includes(name));

/** Keys of a profile in the contract's JSON: its own, and the proto's, of which each wins over what the first say of the same. */
export const contractKeys: readonly string[] = [
  ...profileFields.map(({ name }) => name).filter((name) => name !== "template"),
  "client_secret",
  "auth_header",
  "auth_strategy",
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
  const plain = plainFields.map((field) => [field.key, readSetting(field, fields)]);
  const secret = fields.text("client_secret");
  return {
    settings: {
      ...(Object.fromEntries(plain) as ProviderSettings),
      name: canonicalName(fields.text("name")),
      authType,
      template: "",
      ...specialSettings(authType, json, fields, violations),
    },
    clientSecret: Object.hasOwn(json, "client_secret")
      ? secret === ""
        ? null
        : new Secret(secret)
      : undefined,
    violations,
  };
}

type SpecialSettings = Pick<
  ProviderSettings,
  | "tokenEndpointAuthMethod"
  | "grantType"
  | "authorizationParams"
  | "strategy"
  | "credentialSchema"
  | "params"
  | "oauth2"
>;

function specialSettings(
  authType: AuthType,
  json: JsonObject,
  fields: JsonFields,
  violations: FieldViolation[],
): SpecialSettings {
  const isOAuth2 = authType === "oauth2";
  for (const name of oauth2Fields) {
    if (!isOAuth2 && fields.has(name)) fields.violation(name, `is for oauth2, not for ${authType}`);
  }
  const given = fields.object("params") ?? {};
  const params = readContractParams(given, isOAuth2, violations);
  const authHeader = fields.text("auth_header");
  const typed = fields.object("strategy");
  const spelling = { authHeader, authStrategy: json["auth_strategy"], params: given };
  const strategy = typed
    ? strategyOfJson(authType, typed, violations)
    : strategyOfContract(authType, spelling, violations);
  const credentialSchema = fields.object("credential_schema") ?? params.credentialSchema;
  const rest = typed ? withoutStrategy(params.rest) : params.rest;
  const method = fields.word("token_endpoint_auth_method", tokenEndpointAuthMethods);
  if (!isOAuth2) {
    const tokenEndpointAuthMethod = method ?? "client_secret_post";
    const grantType = "authorization_code" as const;
    const unused = { tokenEndpointAuthMethod, grantType, authorizationParams: params.authorizationParams };
    return { ...unused, strategy, credentialSchema, params: rest, oauth2: plainOAuth2 };
  }
  const spelledMethod = methodOfHeader(authHeader);
  const options = {
    ...(params.skipScopeOnAuth ? { skip_scope_on_auth: true } : {}),
    ...fields.object("oauth2_options"),
  };
  return {
    tokenEndpointAuthMethod: method ?? spelledMethod,
    grantType: fields.word("grant_type", grantTypes) ?? "authorization_code",
    authorizationParams: { ...params.authorizationParams, ...fields.textMap("authorization_params") },
    strategy,
    credentialSchema,
    params: { ...rest, ...(authHeader === plainHeader(spelledMethod) ? {} : { auth_header: authHeader }) },
    oauth2: optionsOfConfig(options, violations, "oauth2_options."),
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
  if (Object.hasOwn(patch, "oauth2_options")) drop("skip_scope_on_auth");
  return { ...base, params };
}

/** The contract's JSON of a profile, without its secret. `profileOfContract` reads the same settings out of it. */
export function contractOfProfile(settings: ProviderSettings): JsonObject {
  const isOAuth2 = settings.authType === "oauth2";
  const { auth_header: spelledHeader, ...others } = settings.params;
  const kept = isOAuth2 ? others : settings.params;
  const spelling = contractOfStrategy(settings.authType, settings.strategy, kept);
  const { skip_scope_on_auth, ...options } = optionsConfig(settings.oauth2);
  const extras = Object.entries(settings.authorizationParams);
  const hidden = Object.fromEntries(extras.filter(([name]) => !canBeExtraParam(name)));
  const fields = profileFields.filter(
    (field) => contractsOwn.includes(field.name) || plainFields.includes(field),
  );
  const plain = fields
    .map((field) => [field.name, settingJson(field, settingOf(settings, field))] as const)
    .filter(([name, value]) => contractsOwn.includes(name) || !isEmptyJson(value));
  return {
    ...Object.fromEntries(plain),
    auth_header: isOAuth2 ? headerOf(settings.tokenEndpointAuthMethod, spelledHeader) : spelling.authHeader,
    auth_strategy: spelling.authStrategy ?? "",
    params: {
      ...Object.fromEntries(extras.filter(([name]) => canBeExtraParam(name))),
      ...spelling.params,
      ...(settings.credentialSchema ? { credential_schema: settings.credentialSchema } : {}),
      ...(skip_scope_on_auth === undefined ? {} : { skip_scope_on_auth }),
    },
    ...(isOAuth2 && !spelledMethods.includes(settings.tokenEndpointAuthMethod)
      ? { token_endpoint_auth_method: settings.tokenEndpointAuthMethod }
      : {}),
    ...(isOAuth2 && settings.grantType !== "authorization_code" ? { grant_type: settings.grantType } : {}),
    ...(Object.keys(hidden).length === 0 ? {} : { authorization_params: hidden }),
    ...(isOAuth2 && Object.keys(options).length > 0 ? { oauth2_options: options } : {}),
  };
}

/** Those that `auth_header` can say. */
const spelledMethods: readonly TokenEndpointAuthMethod[] = ["client_secret_post", "client_secret_basic"];

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
