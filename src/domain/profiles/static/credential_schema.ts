import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { certificateFields } from "../../../model/clients/api_certificate.js";
import { credentialFields, defaultSchemaOf } from "../../../model/credentials/credential_fields.js";
import type { FieldViolation } from "../../../model/errors.js";
import type { JsonObject, JsonValue } from "../../../model/json.js";
import type { ProviderSettings } from "../../../model/providers/provider_profile.js";
import { formTokenField } from "./capture_field.js";
import { drafts, formats, objectKeywords, stringKeywords } from "./credential_keywords.js";
import { compilePattern } from "./safe_pattern.js";

/** Of the JSON text. */
export const maxSchemaBytes = 64 * 1024;
export const maxProperties = 50;
const maxNameLength = 128;
const maxChoices = 500;

/** Made for the first schema that is judged: it reads the meta-schemas of its draft, which most daemons never need. */
let metaSchema: Ajv2020 | undefined;

type SchemaViolation = (place: string, description: string) => void;

/** The schema of what is captured for a profile: its own, or the default one of its strategy. */
export function schemaOf(settings: ProviderSettings): JsonObject {
  return settings.credentialSchema ?? defaultSchemaOf(settings.strategy);
}

/**
 * Every error of a profile's `credential_schema`, each by its place. What passes is an object of strings, described in keywords
 * that a form can show, and nothing in it refers to another document.
 */
export function credentialSchemaViolations(settings: ProviderSettings): FieldViolation[] {
  if (settings.authType === "oauth2") return [];
  const violations: FieldViolation[] = [];
  const violation: SchemaViolation = (place, description) =>
    void violations.push({ field: `provider.credential_schema${place}`, description });
  const schema = schemaOf(settings);
  const bytes = byteLength(schema);
  if (bytes === undefined || bytes > maxSchemaBytes) {
    violation(
      "",
      `must be at most ${maxSchemaBytes} bytes of JSON${bytes === undefined ? "" : `, not ${bytes}`}`,
    );
    return violations;
  }
  shapeViolations(schema, violation);
  if (violations.length > 0) return violations;
  for (const error of metaViolations(schema))
    violation(placeOf(error.instancePath), error.message ?? "is not valid");
  if (violations.length > 0) return violations;
  for (const [name, property] of propertiesOf(schema)) stringViolations(at(name), property, violation);
  if (isObject(schema["additionalProperties"])) {
    stringViolations(".additionalProperties", schema["additionalProperties"], violation);
  }
  strategyViolations(settings, schema, violation);
  certificateViolations(schema, violation);
  return violations;
}

/** The properties of a schema that passed. */
export function propertiesOf(schema: JsonObject): [string, JsonObject][] {
  const { properties } = schema;
  return isObject(properties) ? (Object.entries(properties) as [string, JsonObject][]) : [];
}

export function requiredOf(schema: JsonObject): readonly string[] {
  return Array.isArray(schema["required"]) ? (schema["required"] as string[]) : [];
}

/** Only known keywords, and so a depth that is known: nothing below may recurse. */
function shapeViolations(schema: JsonObject, violation: SchemaViolation): void {
  unknownKeywords("", schema, objectKeywords, violation);
  const draft = schema["$schema"];
  if (draft !== undefined && !(typeof draft === "string" && drafts.includes(draft.replace(/#$/, "")))) {
    violation(".$schema", `must be ${drafts[0]}`);
  }
  if (schema["type"] !== "object") violation(".type", `must be "object"`);
  const { properties, additionalProperties } = schema;
  if (additionalProperties !== undefined && typeof additionalProperties !== "boolean") {
    propertyShape(".additionalProperties", additionalProperties, violation);
  }
  if (!isObject(properties)) {
    violation(".properties", "must be an object of schemas of strings");
    return;
  }
  const names = Object.keys(properties);
  if (names.length > maxProperties) {
    violation(".properties", `must be at most ${maxProperties} properties, not ${names.length}`);
    return;
  }
  for (const name of names) {
    const why = nameViolation(name);
    if (why !== undefined) violation(at(name), why);
    propertyShape(at(name), properties[name], violation);
  }
}

function propertyShape(place: string, property: JsonValue | undefined, violation: SchemaViolation): void {
  if (!isObject(property)) {
    violation(place, "must be a schema of a string");
    return;
  }
  unknownKeywords(place, property, stringKeywords, violation);
  const ofStrings =
    property["type"] === undefined && (Array.isArray(property["enum"]) || "const" in property);
  if (property["type"] !== "string" && !ofStrings) violation(`${place}.type`, `must be "string"`);
  for (const keyword of ["const", "default"]) {
    const value = property[keyword];
    if (value !== undefined && typeof value !== "string")
      violation(`${place}.${keyword}`, "must be a string");
  }
  const choices = property["enum"];
  if (choices === undefined) return;
  const isList = Array.isArray(choices) && choices.length > 0 && choices.length <= maxChoices;
  if (!isList || !choices.every((choice) => typeof choice === "string")) {
    violation(`${place}.enum`, `must be 1 to ${maxChoices} strings`);
  } else if (new Set(choices).size !== choices.length)
    violation(`${place}.enum`, "must not hold a value twice");
}

function unknownKeywords(
  place: string,
  schema: JsonObject,
  known: readonly string[],
  violation: SchemaViolation,
): void {
  for (const keyword of Object.keys(schema)) {
    // Vendor annotations say nothing about values (JSON Schema Core section 6.5).
    if (known.includes(keyword) || keyword.startsWith("x-")) continue;
    violation(
      `${place}.${keyword.slice(0, maxNameLength)}`,
      `is not supported here; these are: ${known.join(", ")}`,
    );
  }
}

/** Why `name` cannot be the name of a field. */
export function nameViolation(name: string): string | undefined {
  if (name === "" || name.length > maxNameLength)
    return `must have a name of 1 to ${maxNameLength} characters`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return "must not have control characters in its name";
  const isReserved = name === formTokenField || name === "__proto__";
  return isReserved ? "has a name that is reserved" : undefined;
}

function metaViolations(schema: JsonObject): ErrorObject[] {
  const { $schema: _draft, ...rest } = schema;
  // Formats are not judged here: those of the meta-schema itself would be.
  metaSchema ??= new Ajv2020({ strict: false, allErrors: true, validateFormats: false, logger: false });
  return metaSchema.validateSchema(rest) === true ? [] : (metaSchema.errors ?? []);
}

function stringViolations(place: string, property: JsonObject, violation: SchemaViolation): void {
  const { pattern, format, minLength, maxLength } = property;
  if (typeof pattern === "string") {
    try {
      compilePattern(pattern);
    } catch (error) {
      violation(`${place}.pattern`, (error as Error).message);
    }
  }
  if (typeof format === "string" && !Object.hasOwn(formats, format)) {
    violation(`${place}.format`, `must be one of ${Object.keys(formats).join(", ")}`);
  }
  if (typeof minLength === "number" && typeof maxLength === "number" && minLength > maxLength) {
    violation(`${place}.minLength`, "must not be greater than maxLength");
  }
}

/** The strategy must find its fields in whatever the schema lets through. */
function strategyViolations(
  { strategy }: ProviderSettings,
  schema: JsonObject,
  violation: SchemaViolation,
): void {
  const names = propertiesOf(schema).map(([name]) => name);
  const required = requiredOf(schema);
  const fields = credentialFields(strategy);
  for (const [index, { name, isOptional, mayBeEmpty }] of fields.entries()) {
    if (isOptional) continue;
    if (fields.findIndex((field) => field.name === name) !== index) {
      violation(
        "",
        `cannot hold two fields of the strategy ${strategy.kind} under one name, ${quoted(name)}`,
      );
    }
    if (!names.includes(name)) {
      violation(".properties", `must have ${quoted(name)}: the strategy ${strategy.kind} reads it`);
    } else if (!mayBeEmpty && !required.includes(name)) {
      violation(".required", `must have ${quoted(name)}: the strategy ${strategy.kind} reads it`);
    }
  }
  if (schema["additionalProperties"] !== undefined && schema["additionalProperties"] !== false) return;
  for (const name of required) {
    if (!names.includes(name))
      violation(".required", `names ${quoted(name)}, which is not among the properties`);
  }
}

/** A certificate is of no use without its key. */
function certificateViolations(schema: JsonObject, violation: SchemaViolation): void {
  const names = propertiesOf(schema).map(([name]) => name);
  const { chain, key } = certificateFields;
  for (const [one, other] of [
    [chain, key],
    [key, chain],
  ])
    if (one && other && names.includes(one) && !names.includes(other))
      violation(".properties", `must have ${quoted(other)} beside ${quoted(one)}`);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function byteLength(schema: JsonObject): number | undefined {
  try {
    return Buffer.byteLength(JSON.stringify(schema));
  } catch {
    // Nested deeper than the stack.
    return undefined;
  }
}

const quoted = (name: string): string => JSON.stringify(name.slice(0, maxNameLength));

const at = (name: string): string => `.properties[${quoted(name)}]`;

/** From a JSON pointer of ajv to the notation of every other error. */
function placeOf(pointer: string): string {
  const steps = pointer.split("/").slice(1);
  return steps
    .map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"))
    .map((step, index) =>
      steps[index - 1] === "properties" && index === 1 ? `[${quoted(step)}]` : `.${step}`,
    )
    .join("");
}
