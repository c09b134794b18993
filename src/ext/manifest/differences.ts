import { isDeepStrictEqual } from "node:util";
import { strategyConfig } from "../../model/credentials/credentials.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import {
  isEmptyJson,
  oauth2Fields,
  type ProfileField,
  type ProviderSettings,
  profileFields,
  settingJson,
  settingOf,
  withoutStrategy,
} from "../../model/providers/providers.js";

/** What stands instead of a secret. */
export const mask = "********";

/** One field that differs. A side that is undefined is not set. */
export interface Difference {
  /** Where, for example `oauth2_options.scope_separator`. */
  readonly field: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/** Headers and parameters of token requests carry keys as often as not. */
const maskedOptions = ["token_headers", "token_params", "refresh_params"];

/** All but what a profile is known by. */
const fields = profileFields.filter(({ name }) => !["name", "auth_type", "template"].includes(name));

/** A setting as it is compared and printed; undefined for what counts as not set. */
function comparable(field: ProfileField, settings: ProviderSettings): JsonValue | undefined {
  if (field.name === "params") return given(meaningfulParams(settings));
  if (field.kind === "strategy") {
    return { type: settings.strategy.kind, ...strategyConfig(settings.strategy) };
  }
  return given(settingJson(field, settingOf(settings, field)));
}

/** What two profiles of one type differ in, and the names of the settings that hold it, as an update mask wants them. */
export function differencesOf(
  before: ProviderSettings,
  after: ProviderSettings,
): {
  readonly differences: Difference[];
  readonly paths: string[];
  readonly settings: Partial<ProviderSettings>;
} {
  const isOAuth2 = after.authType === "oauth2";
  const changed = fields
    .filter(({ name }) => isOAuth2 || !oauth2Fields.includes(name))
    .map((field) => ({ field, was: comparable(field, before), is: comparable(field, after) }))
    .filter(({ was, is }) => !isDeepStrictEqual(was, is));
  return {
    differences: changed.flatMap(({ field, was, is }) => difference(field.name, was, is)),
    paths: changed.map(({ field }) => field.name),
    settings: Object.fromEntries(changed.map(({ field }) => [field.key, settingOf(after, field)])),
  };
}

/**
 * What is left of `params` besides the settings. The spelling of a strategy says nothing that the strategy does not. A text beside an
 * oauth2 profile could not be written in a manifest, where it is an authorization parameter.
 */
export function meaningfulParams({ authType, params }: ProviderSettings): JsonObject {
  const rest = Object.entries(withoutStrategy(params));
  return Object.fromEntries(rest.filter(([, value]) => authType !== "oauth2" || typeof value !== "string"));
}

/** Undefined for what counts as not set. */
function given(value: JsonValue): JsonValue | undefined {
  return isEmptyJson(value) ? undefined : value;
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
