import type { JsonObject, JsonValue } from "../model/json.js";
import { isJsonObject } from "../model/json_fields.js";
import { profileOfContract } from "../model/providers/contract_profile.js";
import { optionFields, type ProfileField, profileFields } from "../model/providers/profile_fields.js";
import type { ProviderTemplate } from "../model/providers/provider_template.js";

/** One provider of a catalogue file, as `catalogue.schema.json` describes it: this, and settings by their names in the proto. */
export type CatalogueEntry = JsonObject & {
  readonly name: string;
  readonly display_name: string;
  readonly docs_url: string;
  readonly variables?: Record<string, EntryVariable>;
  readonly notes?: string[];
  readonly scope_words?: Record<string, string>;
  readonly tool_variables?: string[];
  readonly key_forms?: string[];
};

type EntryVariable = {
  readonly description: string;
  readonly pattern?: string;
  readonly default?: string;
  readonly example: string;
};

/** One label of a host name, or one segment of a path. */
const labelPattern = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/** The name of a setting in a catalogue: that of a duration says its unit. */
export function entryName({ name, kind }: ProfileField): string {
  return kind === "duration" ? `${name}_seconds` : name;
}

/** The template that a valid entry says, what is missing by its default. */
export function templateOf(entry: CatalogueEntry): ProviderTemplate {
  const { display_name: displayName, docs_url: docsUrl, variables, notes = [], ...others } = entry;
  const { scope_words: scopeWords = {}, tool_variables: toolVariables = [], ...more } = others;
  const { key_forms: keyForms = [], ...profile } = more;
  return {
    name: entry.name,
    displayName,
    settings: { ...settingsOf({ description: displayName, ...profile }), template: entry.name },
    variables: Object.entries(variables ?? {}).map(([name, variable]) => ({
      name,
      description: variable.description,
      pattern: variable.pattern ?? labelPattern,
      defaultValue: variable.default ?? "",
      example: variable.example,
    })),
    docsUrl,
    notes,
    scopeWords,
    toolVariables,
    keyForms,
  };
}

/** What is left out is judged with the profile: `query_param` without a name has an error of its own. */
function settingsOf({
  strategy,
  oauth2_options: options,
  ...entry
}: JsonObject): ProviderTemplate["settings"] {
  const profile = withDurations(entry, profileFields);
  if (isJsonObject(strategy)) {
    const { type = "", ...config } = strategy;
    profile["strategy"] = { type, config };
  }
  if (isJsonObject(options)) profile["oauth2_options"] = withDurations(options, optionFields);
  return profileOfContract(profile).settings;
}

/** `default_lifetime_seconds: 60` as `default_lifetime: 60s`. */
function withDurations(entry: JsonObject, fields: readonly ProfileField[]): JsonObject {
  const json: Record<string, JsonValue> = { ...entry };
  for (const field of fields.filter(({ kind }) => kind === "duration")) {
    const seconds = json[entryName(field)];
    delete json[entryName(field)];
    if (typeof seconds === "number") json[field.name] = `${seconds}s`;
  }
  return json;
}
