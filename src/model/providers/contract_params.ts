import type { FieldViolation } from "../errors.js";
import type { JsonObject } from "../json.js";
import { isJsonObject } from "../json_fields.js";
import { strategyParams } from "./contract_strategy.js";
import { protocolParams } from "./provider_profile.js";

const knownParams: readonly string[] = [
  ...strategyParams,
  "credential_schema",
  "skip_scope_on_auth",
  // It is not sent there anyway: what the contract says of it is kept, and means nothing.
  "skip_scope_on_exchange",
];

/** `params` of the contract, taken apart. */
export interface ContractParams {
  readonly authorizationParams: Record<string, string>;
  readonly credentialSchema: JsonObject | undefined;
  readonly skipScopeOnAuth: boolean;
  /** What none of the above says: how a strategy is spelled, and what has no meaning here. */
  readonly rest: JsonObject;
}

/**
 * Takes `params` apart. For `oauth2` every text under a name that is not known is a parameter of the authorization request;
 * one of another type takes no other with it.
 */
export function readContractParams(
  params: JsonObject,
  isOAuth2: boolean,
  violations: FieldViolation[],
): ContractParams {
  const authorizationParams: Record<string, string> = {};
  const rest: JsonObject = {};
  let credentialSchema: JsonObject | undefined;
  for (const [name, value] of Object.entries(params)) {
    if (name === "__proto__") {
      violations.push({ field: 'params["__proto__"]', description: "has a name that is reserved" });
    } else if (name === "credential_schema") {
      if (isJsonObject(value)) credentialSchema = value;
      else if (value !== null)
        violations.push({ field: "params.credential_schema", description: "must be an object" });
    } else if (isOAuth2 && typeof value === "string" && !knownParams.includes(name)) {
      if (protocolParams.has(name)) {
        const description = "is a parameter of the protocol and cannot be set";
        violations.push({ field: `params["${name}"]`, description });
      } else authorizationParams[name] = value;
    } else if (!(isTrue(value) && name === "skip_scope_on_auth")) rest[name] = value;
  }
  return {
    authorizationParams,
    credentialSchema,
    skipScopeOnAuth: isTrue(params["skip_scope_on_auth"]),
    rest,
  };
}

function isTrue(value: JsonObject[string] | undefined): boolean {
  return value === true || value === "true";
}

/** Whether `params` can hold the authorization parameter under its own name. */
export function canBeExtraParam(name: string): boolean {
  return !knownParams.includes(name);
}

/** `params` without its authorization parameters. */
export function withoutExtraParams(params: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => typeof value !== "string" || knownParams.includes(name)),
  );
}
