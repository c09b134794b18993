import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { certificateViolation } from "../../../model/clients/api_certificate.js";
import { type CredentialField, credentialFields } from "../../../model/credentials/credential_fields.js";
import { type FieldViolation, InvalidArgument } from "../../../model/errors.js";
import type { JsonObject, JsonValue } from "../../../model/json.js";
import type { ProviderSettings } from "../../../model/providers/provider_profile.js";
import { Secret } from "../../../runtime/secret.js";
import { formatPhrase, formats } from "./credential_keywords.js";
import { nameViolation, propertiesOf, schemaOf } from "./credential_schema.js";
import { compilePattern } from "./safe_pattern.js";

/** Names and values of one credential together, in UTF-8. */
export const maxCredentialBytes = 64 * 1024;
/** The expressions behind the formats are not RE2: they are kept from long texts. */
const maxFormattedLength = 2_048;

/** The path of a field in a request that submits `credentials`. */
export function credentialPath(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? `credentials.${name}` : `credentials[${JSON.stringify(name)}]`;
}

/**
 * Judges submitted values by the profile's schema and by what its strategy can carry.
 *
 * @throws InvalidArgument naming each field; it never repeats a value
 */
export function checkCredential(
  settings: ProviderSettings,
  values: Readonly<Record<string, JsonValue>>,
): Record<string, Secret> {
  const violations = new Map<string, string>();
  const violation = (name: string, description: string): void => {
    if (!violations.has(name)) violations.set(name, description);
  };
  const given = Object.entries(values);
  const bytes = given.reduce((sum, [name, value]) => sum + byteLength(name) + byteLength(value), 0);
  if (bytes > maxCredentialBytes) {
    const description = `must be at most ${maxCredentialBytes} bytes together, not ${bytes}`;
    throw new InvalidArgument([{ field: "credentials", description }]);
  }
  // Without a prototype: names are whatever was submitted.
  const texts: Record<string, string> = Object.create(null);
  for (const [name, value] of given) {
    const why = nameViolation(name);
    if (why !== undefined) violation(name, why);
    if (typeof value === "string") texts[name] = value;
    else violation(name, "must be a string");
  }
  for (const field of credentialFields(settings.strategy)) {
    // An empty password is legal, and so is one that is left out.
    if (field.mayBeEmpty && !Object.hasOwn(values, field.name)) texts[field.name] = "";
    const text = texts[field.name];
    const why = text === undefined ? undefined : carrierViolation(field, text);
    if (why !== undefined) violation(field.name, why);
  }
  const unusable = certificateViolation(texts);
  if (unusable) violation(unusable.field, unusable.description);
  const general = schemaViolations(schemaOf(settings), texts, (name, description) => {
    if (Object.hasOwn(texts, name) || !Object.hasOwn(values, name)) violation(name, description);
  });
  if (violations.size > 0 || general.length > 0) {
    throw new InvalidArgument([
      ...[...violations].map(([name, description]) => ({ field: credentialPath(name), description })),
      ...general,
    ]);
  }
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, new Secret(text)]));
}

/** @returns the errors of no field in particular */
function schemaViolations(
  schema: JsonObject,
  texts: Readonly<Record<string, string>>,
  violation: (name: string, description: string) => void,
): FieldViolation[] {
  const tooLong = new Set<string>();
  for (const [name, { format }] of propertiesOf(schema)) {
    const length = texts[name]?.length ?? 0;
    if (format === undefined || format === "password" || length <= maxFormattedLength) continue;
    violation(name, `must have at most ${maxFormattedLength} characters, not ${length}`);
    tooLong.add(name);
  }
  const judged = Object.fromEntries(Object.entries(texts).filter(([name]) => !tooLong.has(name)));
  const validate = validator(schema);
  if (validate(judged)) return [];
  const general: FieldViolation[] = [];
  for (const error of validate.errors ?? []) {
    const name = fieldOf(error);
    if (name === undefined) {
      general.push({ field: "credentials", description: error.message ?? "is not valid" });
    } else if (!tooLong.has(name)) violation(name, sentence(error));
  }
  return general;
}

/** What of a schema says something about values, with strings where a keyword only makes sense for one. */
function validator(schema: JsonObject) {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    validateSchema: false,
    addUsedSchema: false,
    logger: false,
    ownProperties: true,
    code: { regExp: Object.assign((pattern: string) => compilePattern(pattern), { code: "compilePattern" }) },
  });
  addFormats.default(ajv, Object.keys(formats) as (keyof typeof formats)[]);
  const { $schema: _draft, $id: _id, ...rest } = schema;
  return ajv.compile({ ...rest, additionalProperties: rest["additionalProperties"] ?? false });
}

function fieldOf({ keyword, params, instancePath }: ErrorObject): string | undefined {
  if (keyword === "required" || keyword === "dependentRequired") return String(params["missingProperty"]);
  if (keyword === "additionalProperties") return String(params["additionalProperty"]);
  const step = instancePath.split("/")[1];
  return step?.replace(/~1/g, "/").replace(/~0/g, "~");
}

function sentence({ keyword, params, message }: ErrorObject): string {
  const limit = Number(params["limit"]);
  switch (keyword) {
    case "required":
    case "dependentRequired":
      return "is required";
    case "additionalProperties":
      return "is not a field of this credential";
    case "minLength":
      return limit === 1 ? "must not be empty" : `must have at least ${limit} characters`;
    case "maxLength":
      return `must have at most ${limit} characters`;
    case "pattern":
      return "must have the form that the provider gives it: compare it with what the provider shows";
    case "format":
      return `must be ${formatPhrase(params["format"])}`;
    case "enum":
      return "must be one of the values to choose from";
    case "const":
      return `must be ${JSON.stringify(params["allowedValue"])}`;
    default:
      return message ?? "is not valid";
  }
}

function carrierViolation({ carrier, mayBeEmpty }: CredentialField, text: string): string | undefined {
  if (text === "") return mayBeEmpty ? undefined : "must not be empty";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const hasControls = /[\u0000-\u001f\u007f]/.test(text);
  switch (carrier) {
    case "any":
      return undefined;
    case "basic_user":
      if (text.includes(":")) return "must not hold a colon: Basic credentials end the user name at it";
      return hasControls ? "must not hold line breaks or other control characters" : undefined;
    case "basic":
      return hasControls ? "must not hold line breaks or other control characters" : undefined;
    case "header":
      if (hasControls) return "must not hold line breaks or other control characters";
      if (/[^ -~]/.test(text)) return "must be printable ASCII: it is sent in a header";
      return text.trim() === text ? undefined : "must not begin or end with a space";
  }
}

function byteLength(value: JsonValue): number {
  return Buffer.byteLength(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
}
