import { isDeepStrictEqual } from "node:util";
import type { Strategy } from "../credentials/strategy.js";
import { strategyConfig, strategyOfConfig } from "../credentials/strategy_config.js";
import type { FieldViolation } from "../errors.js";
import type { JsonObject, JsonValue } from "../json.js";
import { isJsonObject } from "../json_fields.js";
import { type AuthType, strategiesOfType } from "./provider_profile.js";

/** Keys of `params` by which the contract spells a strategy: whole, or its config laid flat. */
export const strategyParams: readonly string[] = [
  "auth_strategy",
  "header_name",
  "value_prefix",
  "param_name",
  "credential_field",
  "username_field",
  "password_field",
  "region",
  "service",
  "algo",
  "encoding",
];

/** Where the contract says how a credential is applied. */
export interface StrategySpelling {
  /** Static types: name of the header. */
  readonly authHeader: string;
  /** `auth_strategy` beside `params`: the kind, or `{type, config}`. */
  readonly authStrategy: JsonValue | undefined;
  readonly params: JsonObject;
}

/** The header of an `api_key` whose profile names none, at every door: REST, RPC, manifest and catalogue. */
const defaultKeyHeader = "X-API-Key";

/** The strategy that a spelling says; `params.auth_strategy` before the flat keys, these before `auth_header`. */
export function strategyOfContract(
  authType: AuthType,
  { authHeader, authStrategy, params }: StrategySpelling,
  violations: FieldViolation[],
): Strategy {
  const beside = spelled(authStrategy, "auth_strategy", violations);
  const inside = spelled(params["auth_strategy"], "params.auth_strategy", violations);
  const flat = Object.fromEntries(
    Object.entries(params).filter(
      ([name]) => name !== "auth_strategy" && (strategyParams.includes(name) || name === "secret_field"),
    ),
  );
  const config = {
    ...texts(flat, "params.", violations),
    ...texts(beside.config, "auth_strategy.config.", violations),
    ...texts(inside.config, "params.auth_strategy.config.", violations),
  };
  const kind = kindOf(authType, inside.type || beside.type, config);
  if ((kind === "header" || kind === "hmac_payload") && !config["header_name"] && authHeader !== "") {
    config["header_name"] = authHeader;
  }
  const whole = authType === "api_key" && kind === "header" ? keyHeaderConfig(config) : config;
  return found(authType, kind, whole, "auth_strategy", violations);
}

/** Fills in the header of an `api_key`. In `Authorization`, a key without a prefix of its own is sent as a bearer token. */
export function keyHeaderConfig(config: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (config["value_prefix"] !== undefined) return config;
  const header_name = config["header_name"] || defaultKeyHeader;
  const isBearer = header_name.toLowerCase() === "authorization";
  return { ...config, header_name, ...(isBearer ? { value_prefix: "Bearer " } : {}) };
}

/** The strategy of the typed key: `{type, config}` or, as protobuf JSON has it, `{header: {header_name}}`. */
export function strategyOfJson(authType: AuthType, json: JsonObject, violations: FieldViolation[]): Strategy {
  if (Object.hasOwn(json, "type")) {
    const { type, config } = spelled(json, "strategy", violations);
    return found(authType, type, texts(config, "strategy.config.", violations), "strategy", violations);
  }
  const [kind, config, ...more] = Object.entries(json).flat();
  if (typeof kind !== "string" || !isJsonObject(config) || more.length > 0) {
    violations.push({ field: "strategy", description: "must be {type, config}" });
    return defaultStrategyOf(authType);
  }
  return found(authType, kind, texts(config, `strategy.${kind}.`, violations), "strategy", violations);
}

/** What a profile of the type gets when it says nothing. */
export function defaultStrategyOf(authType: AuthType): Strategy {
  return strategyOfContract(authType, { authHeader: "", authStrategy: undefined, params: {} }, []);
}

/**
 * How the contract says the strategy. What `params` already spell is kept as long as it still says the same, so that a caller reads
 * back what it wrote.
 */
export function contractOfStrategy(
  authType: AuthType,
  strategy: Strategy,
  params: JsonObject,
): StrategySpelling {
  const authStrategy = authType === "oauth2" ? "" : strategy.kind;
  const bare = withoutStrategy(params);
  const headers = "headerName" in strategy && authType !== "oauth2" ? ["", strategy.headerName] : [""];
  const ways = [params, bare].flatMap((candidate) =>
    headers.map((authHeader) => ({ authHeader, authStrategy, params: candidate })),
  );
  const way = ways.find((candidate) =>
    isDeepStrictEqual(strategyOfContract(authType, candidate, []), strategy),
  );
  const whole = { type: strategy.kind, config: strategyConfig(strategy) };
  return way ?? { authHeader: "", authStrategy, params: { ...bare, auth_strategy: whole } };
}

/** `params` without what spells a strategy. */
export function withoutStrategy(params: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !strategyParams.includes(name)));
}

function kindOf(authType: AuthType, named: string, config: Readonly<Record<string, string>>): string {
  const typeDefault = strategiesOfType[authType][0] ?? authType;
  if (authType === "basic_auth") return typeDefault;
  if (authType === "oauth2") return named === "" || named === "header" ? typeDefault : named;
  if (named !== "") return named;
  return authType === "api_key" && config["param_name"] && !config["header_name"]
    ? "query_param"
    : typeDefault;
}

function found(
  authType: AuthType,
  kind: string,
  config: Readonly<Record<string, string>>,
  field: string,
  violations: FieldViolation[],
): Strategy {
  const strategy = strategyOfConfig(kind, config);
  if (strategy) return strategy;
  const kinds = strategiesOfType[authType].join(" or ");
  violations.push({ field, description: `must be ${kinds} for ${authType}` });
  return strategyOfConfig(strategiesOfType[authType][0] ?? authType, config) as Strategy;
}

function spelled(
  value: JsonValue | undefined,
  field: string,
  violations: FieldViolation[],
): { readonly type: string; readonly config: JsonObject } {
  if (value === undefined || value === null) return { type: "", config: {} };
  if (typeof value === "string") return { type: value, config: {} };
  if (isJsonObject(value)) {
    const { type = "", config } = value;
    const isConfig = config === undefined || config === null || isJsonObject(config);
    if (typeof type === "string" && isConfig) return { type, config: config ?? {} };
  }
  violations.push({ field, description: "must be {type, config}" });
  return { type: "", config: {} };
}

function texts(config: JsonObject, prefix: string, violations: FieldViolation[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).filter((entry): entry is [string, string] => {
      if (typeof entry[1] === "string") return true;
      violations.push({ field: `${prefix}${entry[0]}`, description: "must be text" });
      return false;
    }),
  );
}
