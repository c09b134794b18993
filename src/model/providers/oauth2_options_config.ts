import { isDeepStrictEqual } from "node:util";
import type { FieldViolation } from "../errors.js";
import type { JsonObject } from "../json.js";
import { durationText, JsonFields } from "../json_fields.js";
import { plainOAuth2 } from "./profile_fields.js";
import type { OAuth2Options } from "./profile_settings.js";

/** The options by their names in the proto. */
export const optionNames = {
  scopeSeparator: "scope_separator",
  tokenParams: "token_params",
  refreshParams: "refresh_params",
  tokenHeaders: "token_headers",
  tokenRequestFormat: "token_request_format",
  refreshUrl: "refresh_url",
  revocationUrl: "revocation_url",
  tokenResponsePath: "token_response_path",
  lifetimeField: "lifetime_field",
  defaultLifetimeMs: "default_lifetime",
  omitPkce: "omit_pkce",
  skipScopeOnAuth: "skip_scope_on_auth",
  skipScopeOnExchange: "skip_scope_on_exchange",
  callbackMetadata: "callback_metadata",
  tokenMetadata: "token_metadata",
  invalidGrantAliases: "invalid_grant_aliases",
} as const satisfies Record<keyof OAuth2Options, string>;

/** The options that are not the RFCs' own, by their names in the proto. */
export function optionsConfig(options: OAuth2Options): JsonObject {
  const names = Object.keys(optionNames) as (keyof OAuth2Options)[];
  return Object.fromEntries(
    names
      .filter((name) => !isDeepStrictEqual(options[name], plainOAuth2[name]))
      .map((name) => [optionNames[name], jsonOf(options[name])]),
  );
}

function jsonOf(value: OAuth2Options[keyof OAuth2Options]): JsonObject[string] {
  if (typeof value === "number") return durationText(value);
  return structuredClone((value ?? null) as JsonObject[string]);
}

/** What `json` says, the rest as the RFCs have it. Errors begin with `prefix`. */
export function optionsOfConfig(
  json: JsonObject,
  violations: FieldViolation[],
  prefix: string,
): OAuth2Options {
  const fields = new JsonFields(json, violations, prefix);
  const known: readonly string[] = Object.values(optionNames);
  for (const name of Object.keys(json)) {
    if (!known.includes(name)) fields.violation(name, `is not an option; these are: ${known.join(", ")}`);
  }
  const separator = fields.text("scope_separator");
  return {
    scopeSeparator: separator === "" ? plainOAuth2.scopeSeparator : separator,
    tokenParams: fields.textMap("token_params"),
    refreshParams: fields.textMap("refresh_params"),
    tokenHeaders: fields.textMap("token_headers"),
    tokenRequestFormat: fields.word("token_request_format", ["form", "json"]) ?? "form",
    refreshUrl: fields.text("refresh_url"),
    revocationUrl: fields.text("revocation_url"),
    tokenResponsePath: fields.text("token_response_path"),
    lifetimeField: fields.text("lifetime_field"),
    defaultLifetimeMs: fields.durationMs("default_lifetime"),
    omitPkce: fields.flag("omit_pkce"),
    skipScopeOnAuth: fields.flag("skip_scope_on_auth"),
    skipScopeOnExchange: fields.flag("skip_scope_on_exchange"),
    callbackMetadata: fields.texts("callback_metadata"),
    tokenMetadata: fields.texts("token_metadata"),
    invalidGrantAliases: fields.texts("invalid_grant_aliases"),
  };
}
