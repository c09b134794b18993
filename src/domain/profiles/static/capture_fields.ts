import { certificateFields } from "../../../model/clients/api_certificate.js";
import { credentialFields } from "../../../model/credentials/credential_fields.js";
import type { FieldViolation } from "../../../model/errors.js";
import type { JsonObject, JsonValue } from "../../../model/json.js";
import type { ProviderSettings } from "../../../model/providers/provider_profile.js";
import type { CaptureField } from "./capture_field.js";
import { formatPhrase } from "./credential_keywords.js";
import { propertiesOf, requiredOf, schemaOf } from "./credential_schema.js";
import { credentialPath } from "./credential_values.js";
import { compilePattern } from "./safe_pattern.js";

/**
 * The fields of a form for the profile.
 *
 * @param entered what a person entered before; undefined shows the defaults
 * @param violations of `checkCredential`
 */
export function captureFields(
  settings: ProviderSettings,
  entered: Readonly<Record<string, string>> | undefined,
  violations: readonly FieldViolation[],
): CaptureField[] {
  const schema = schemaOf(settings);
  const required = requiredOf(schema);
  const ofStrategy = credentialFields(settings.strategy);
  return propertiesOf(schema).map(([name, property]) => {
    const read = ofStrategy.find((field) => field.name === name);
    const kind = kindOf(property, read?.isSecret ?? name === certificateFields.key);
    const label = textOf(property["title"]) || read?.title || name;
    const violation = violations.find(({ field }) => field === credentialPath(name));
    return {
      name,
      label,
      description: textOf(property["description"]),
      kind,
      choices: kind === "choice" ? (property["enum"] as string[]) : [],
      format: formatOf(property),
      isRequired: required.includes(name) && !(read?.mayBeEmpty && acceptsEmpty(property)),
      hint: kind === "text" || kind === "secret" ? hintOf(property) : "",
      value: initialValue(property, kind, entered?.[name]),
      violation: violation && `${label} ${violation.description}.`,
    };
  });
}

/** Errors that no field of the form can show. */
export function generalViolations(
  settings: ProviderSettings,
  violations: readonly FieldViolation[],
): string[] {
  const paths = propertiesOf(schemaOf(settings)).map(([name]) => credentialPath(name));
  return violations
    .filter(({ field }) => !paths.includes(field))
    .map(({ field, description }) => `${field} ${description}.`);
}

/** What a form says: an input that was left blank is no value, except where the strategy knows an empty one. */
export function enteredValues(settings: ProviderSettings, form: URLSearchParams): Record<string, string> {
  const blanks = credentialFields(settings.strategy).filter(({ mayBeEmpty }) => mayBeEmpty);
  const names = propertiesOf(schemaOf(settings)).map(([name]) => name);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = form.get(name);
      if (value === null) return [];
      return value === "" && !blanks.some((field) => field.name === name) ? [] : [[name, value]];
    }),
  );
}

/** Whether the schema has nothing against an empty text, which the strategy could carry. */
function acceptsEmpty({ minLength, pattern, format, enum: choices }: JsonObject): boolean {
  if (typeof minLength === "number" && minLength > 0) return false;
  if (typeof pattern === "string" && !compilePattern(pattern).test("")) return false;
  if (Array.isArray(choices) && !choices.includes("")) return false;
  return format === undefined || format === "password";
}

function kindOf(property: JsonObject, isSecret: boolean): CaptureField["kind"] {
  if (property["const"] !== undefined) return "fixed";
  if (Array.isArray(property["enum"])) return "choice";
  const isMarked = property["format"] === "password" || property["writeOnly"] === true;
  return isSecret || isMarked ? "secret" : "text";
}

function initialValue(property: JsonObject, kind: CaptureField["kind"], entered: string | undefined): string {
  if (kind === "secret") return "";
  return kind === "fixed" ? textOf(property["const"]) : (entered ?? textOf(property["default"]));
}

function formatOf({ format }: JsonObject): CaptureField["format"] {
  return format === "email" || format === "date" || format === "uri" ? format : "none";
}

function hintOf({ minLength, maxLength, format }: JsonObject): string {
  const parts = [
    typeof minLength === "number" && minLength > 1 ? `at least ${minLength} characters` : "",
    typeof maxLength === "number" ? `at most ${maxLength} characters` : "",
    formatPhrase(format),
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : `Expected: ${parts.join(", ")}`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
