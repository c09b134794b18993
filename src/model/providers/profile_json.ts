import { isDeepStrictEqual } from "node:util";
import type { Strategy } from "../credentials/strategy.js";
import { strategyConfig } from "../credentials/strategy_config.js";
import type { FieldViolation } from "../errors.js";
import type { JsonObject, JsonValue } from "../json.js";
import { durationText, JsonFields } from "../json_fields.js";
import { optionFields, type ProfileField, profileFields, settingOf } from "./profile_fields.js";
import type { OAuth2Options, ProviderSettings } from "./profile_settings.js";

/** A setting as the JSON of contract, manifest and catalogue has it: a duration is `90s`, a strategy `{type, config}`. */
export function settingJson(field: ProfileField, value: unknown): JsonValue {
  switch (field.kind) {
    case "duration":
      return value === undefined ? null : durationText(value as number);
    case "strategy": {
      const strategy = value as Strategy;
      return { type: strategy.kind, config: strategyConfig(strategy) };
    }
    case "options":
      return optionsConfig(value as OAuth2Options);
    default:
      return structuredClone((value ?? null) as JsonValue);
  }
}

/**
 * Reads a setting, its default where the JSON has none. How a strategy is stated depends on the type of the profile, and is read by
 * `strategyOfContract`.
 */
export function readSetting(field: ProfileField, fields: JsonFields): unknown {
  const { name, fallback } = field;
  switch (field.kind) {
    case "text":
      return fields.text(name) || fallback;
    case "flag":
      return fields.flag(name);
    case "number":
      return fields.wholeNumber(name);
    case "word":
      return fields.word(name, field.words) ?? fallback;
    case "duration":
      return fields.durationMs(name);
    case "texts":
      return fields.texts(name);
    case "text_map":
      return fields.textMap(name);
    case "json":
      return fields.object(name) ?? fallback;
    default:
      return fallback;
  }
}

/** The settings that are not empty, by their names in the proto. */
export function givenSettings(settings: ProviderSettings): JsonObject {
  const all = profileFields.map(
    (field) => [field.name, settingJson(field, settingOf(settings, field))] as const,
  );
  // An empty schema is one that takes everything.
  const isGiven = (name: string, value: JsonValue): boolean =>
    name === "credential_schema" ? value !== null : !isEmptyJson(value);
  return Object.fromEntries(all.filter(([name, value]) => isGiven(name, value)));
}

export function isEmptyJson(value: JsonValue): boolean {
  if (typeof value === "object") return Object.keys(value ?? {}).length === 0;
  return value === "" || value === false || value === 0;
}

/** The options that are not the RFCs' own, by their names in the proto. */
export function optionsConfig(options: OAuth2Options): JsonObject {
  const given = optionFields.filter((field) => !isDeepStrictEqual(settingOf(options, field), field.fallback));
  return Object.fromEntries(
    given.map((field) => [field.name, settingJson(field, settingOf(options, field))]),
  );
}

/** What `json` says, the rest as the RFCs have it. Errors begin with `prefix`. */
export function optionsOfConfig(
  json: JsonObject,
  violations: FieldViolation[],
  prefix: string,
): OAuth2Options {
  const fields = new JsonFields(json, violations, prefix);
  const known = optionFields.map(({ name }) => name);
  for (const name of Object.keys(json)) {
    if (!known.includes(name)) fields.violation(name, `is not an option; these are: ${known.join(", ")}`);
  }
  const options = optionFields.map((field) => [field.key, readSetting(field, fields)]);
  return Object.fromEntries(options) as OAuth2Options;
}
