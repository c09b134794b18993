import { RE2JS } from "re2js";
import { type FieldViolation, InvalidArgument } from "../model/errors.js";
import {
  optionFields,
  type ProfileField,
  profileFields,
  settingOf,
} from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import type { ProviderSettings } from "../model/providers/provider_profile.js";
import type { ProviderTemplate, TemplateVariable } from "../model/providers/provider_template.js";

export type VariableValues = Readonly<Record<string, string>>;

/** Longer than any host name (RFC 1035 section 2.3.4). */
const maxValueLength = 253;

/** What no pattern can allow: a value is part of a host or of a path and must not end it. A port only at the end. */
const harmless = /^[A-Za-z0-9._~-]+(:[0-9]{1,5})?$/;

/**
 * The settings of a template with its variables filled in.
 *
 * @throws InvalidArgument naming each variable that is unknown, missing, or does not fit
 */
export function instantiate(template: ProviderTemplate, given: VariableValues): ProviderSettings {
  const violations: FieldViolation[] = [];
  const known = template.variables.map(({ name }) => name);
  for (const name of Object.keys(given).filter((key) => !known.includes(key))) {
    const which = known.length === 0 ? "which has none" : `which has ${known.join(", ")}`;
    violations.push(violation(name, `is not a variable of the template ${template.name}, ${which}`));
  }
  const values: Record<string, string> = {};
  for (const variable of template.variables) {
    const own = Object.hasOwn(given, variable.name) ? given[variable.name] : undefined;
    const value = own === undefined || own === "" ? variable.defaultValue : own;
    const wrong = valueViolation(variable, value);
    if (wrong === undefined) values[variable.name] = value;
    else violations.push(violation(variable.name, wrong));
  }
  if (violations.length > 0) throw new InvalidArgument(violations);
  return mapTemplated(template.settings, (text) => filledUrl(text, values));
}

/** Names of the variables in a text. */
export function variablesIn(text: string): string[] {
  return [...text.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] ?? "");
}

/** The texts of the settings that may hold variables, by field. */
export function templatedTexts(settings: ProviderSettings): (readonly [field: string, text: string])[] {
  const texts: (readonly [string, string])[] = [];
  mapTemplated(settings, (text, field) => {
    texts.push([field, text]);
    return text;
  });
  return texts;
}

/** Whether a setting is a URL, by its name in the proto. */
export function isUrlField({ name }: ProfileField): boolean {
  return name.endsWith("_url") || name === "issuer" || name === "user_info_endpoint";
}

/** The settings with each URL, and each scope that is a URL, as `map` has it. */
function mapTemplated(
  settings: ProviderSettings,
  map: (text: string, field: string) => string,
): ProviderSettings {
  const mapped = (fields: readonly ProfileField[], from: ProviderSettings | OAuth2Options, prefix: string) =>
    Object.fromEntries(
      fields
        .filter(isUrlField)
        .map((field) => [field.key, map(settingOf(from, field) as string, `${prefix}${field.name}`)]),
    );
  const urls = mapped(profileFields, settings, "");
  const oauth2 = { ...settings.oauth2, ...mapped(optionFields, settings.oauth2, "oauth2_options.") };
  const scopes = settings.scopes.map((scope) => (isUrl(scope) ? map(scope, "scopes") : scope));
  return { ...settings, ...urls, scopes, oauth2 };
}

function valueViolation(variable: TemplateVariable, value: string): string | undefined {
  if (value === "") return `is required: ${variable.description}, for example ${variable.example}`;
  if (value.length > maxValueLength) return `must have at most ${maxValueLength} characters`;
  const fits = harmless.test(value) && !value.includes("..") && !/^\./.test(value);
  if (fits && RE2JS.compile(variable.pattern).matches(value)) return undefined;
  return `must have the form of ${variable.example}: ${variable.description}`;
}

/**
 * Fills in a URL, and checks that a parser finds host and path where the template has them, whatever the patterns let through. The host
 * must be the template's letter by letter, so below its fixed suffix, and no segment of the path may be lost.
 */
function filledUrl(text: string, values: VariableValues): string {
  const used = variablesIn(text);
  if (used.length === 0) return text;
  const substituted = substitute(text, values);
  const [, host = "", path = ""] = /^https?:\/\/([^/?#]*)([^?#]*)/.exec(text) ?? [];
  const url = URL.canParse(substituted) ? new URL(substituted) : undefined;
  const isSame =
    url !== undefined &&
    url.username === "" &&
    url.host === substitute(host, values).toLowerCase() &&
    url.hostname.endsWith(fixedSuffix(host)) &&
    url.pathname === (path === "" ? "/" : substitute(path, values));
  if (isSame) return substituted;
  throw new InvalidArgument(used.map((name) => violation(name, "leads out of the template's host and path")));
}

/** `.zendesk.com` of `{subdomain}.zendesk.com`; empty where a variable ends the host. */
function fixedSuffix(host: string): string {
  return host
    .slice(host.lastIndexOf("}") + 1)
    .replace(/:\d+$/, "")
    .toLowerCase();
}

function substitute(text: string, values: VariableValues): string {
  return text.replace(/\{([^{}]*)\}/g, (whole, name: string) => values[name] ?? whole);
}

function isUrl(text: string): boolean {
  return text.startsWith("https://");
}

function violation(name: string, description: string): FieldViolation {
  return { field: `template_variables["${name.slice(0, 64)}"]`, description };
}
