import { readFileSync } from "node:fs";
import type { ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { RE2JS } from "re2js";
import { DocumentError, formatViolations } from "../document/document_error.js";
import { type Path, readYaml } from "../document/yaml_document.js";
import { hasPrivateKey, hasSecretBesideJwt, needsNoSecret } from "../model/clients/client_proof.js";
import { InvalidArgument } from "../model/errors.js";
import { providerViolations } from "../model/providers/provider_profile.js";
import type { ProviderTemplate } from "../model/providers/provider_template.js";
import { type CatalogueEntry, templateOf } from "./catalogue_entry.js";
import { CatalogueError } from "./catalogue_error.js";
import { instantiate, templatedTexts, variablesIn } from "./instantiate.js";

/** Errors that are printed; the rest is counted. */
const maxPresented = 20;

/** Says where in the file something is: `12:5`. */
type Locate = (path: Path) => string;

/**
 * Reads a catalogue that a person wrote, YAML or JSON.
 *
 * @throws CatalogueError with every error, its place and its entry
 */
export function readCatalogueFile(file: string): ProviderTemplate[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CatalogueError(file, [`it cannot be read: ${(error as NodeJS.ErrnoException).code}`]);
  }
  return parseCatalogue(file, text);
}

/** @throws CatalogueError */
export function parseCatalogue(file: string, text: string): ProviderTemplate[] {
  try {
    const document = readYaml(text);
    if (document.violations.length > 0) throw new DocumentError(document.violations);
    const violations = catalogueViolations(document.value, (path) => {
      const { line, column } = document.placeOf(path);
      return `${line}:${column}`;
    });
    if (violations.length > 0) throw new CatalogueError(file, firstOf(violations));
    return (document.value as unknown as { providers: CatalogueEntry[] }).providers.map(templateOf);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new CatalogueError(file, firstOf(formatViolations(error)));
  }
}

function firstOf(violations: readonly string[]): string[] {
  const more = violations.length - maxPresented;
  return [...violations.slice(0, maxPresented), ...(more > 0 ? [`and ${more} more`] : [])];
}

/** Every error of a parsed catalogue: of form first, and only of meaning when the form is right. */
export function catalogueViolations(value: unknown, locate: Locate): string[] {
  const errors = formErrors(value);
  if (errors.length > 0) return errors.map((error) => formViolation(value, error, locate));
  const { providers } = value as { readonly providers: readonly CatalogueEntry[] };
  const seen = new Map<string, number>();
  return providers.flatMap((entry, index) => {
    const say = (field: string, description: string): string =>
      `${locate(["providers", index, ...fieldPath(field)])}: providers[${index}] (${entry.name})${field === "" ? "" : `.${field}`}: ${description}`;
    const first = seen.get(entry.name);
    if (first !== undefined) return [say("name", `is taken by providers[${first}]`)];
    seen.set(entry.name, index);
    return meaningViolations(templateOf(entry)).map(([field, description]) => say(field, description));
  });
}

/** What the schema cannot say: variables fit their patterns and their URLs, and an instance is a sound profile. */
function meaningViolations(template: ProviderTemplate): [field: string, description: string][] {
  const violations: [string, string][] = [];
  const declared = new Set(template.variables.map(({ name }) => name));
  const used = new Set<string>();
  for (const [field, text] of templatedTexts(template.settings)) {
    for (const name of variablesIn(text)) {
      used.add(name);
      if (!declared.has(name)) violations.push([field, `holds {${name}}, which variables does not describe`]);
    }
  }
  for (const { name, pattern } of template.variables) {
    if (!used.has(name)) violations.push([`variables.${name}`, "stands in no URL"]);
    if (!isPattern(pattern)) violations.push([`variables.${name}.pattern`, "is not RE2"]);
  }
  if (violations.length > 0) return violations;
  const examples = template.variables.map(({ name, example }) => [name, example] as const);
  const defaults = template.variables.flatMap(({ name, defaultValue }) =>
    defaultValue === "" ? [] : [[name, defaultValue] as const],
  );
  for (const [word, values] of [
    ["example", examples],
    ["default", [...examples, ...defaults]],
  ] as const) {
    try {
      violations.push(...profileViolations(template, Object.fromEntries(values)));
    } catch (error) {
      if (!(error instanceof InvalidArgument)) throw error;
      violations.push(
        ...error.violations.map(({ field, description }): [string, string] => [
          field.replace(/^template_variables\["(.*)"\]$/, `variables.$1.${word}`),
          description,
        ]),
      );
    }
    if (violations.length > 0) return violations;
  }
  return violations;
}

function profileViolations(template: ProviderTemplate, values: Record<string, string>): [string, string][] {
  const settings = instantiate(template, values);
  const isOAuth2 = settings.authType === "oauth2";
  const hasSecret =
    (isOAuth2 && (!needsNoSecret(settings) || hasPrivateKey(settings)) && settings.clientKeySource === "") ||
    hasSecretBesideJwt(settings);
  return providerViolations({ ...settings, clientId: isOAuth2 ? "sample" : "" }, hasSecret).map(
    ({ field, description }) => [field.replace(/^provider\./, ""), description],
  );
}

function isPattern(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}

function formErrors(value: unknown): ErrorObject[] {
  const schema = JSON.parse(
    readFileSync(new URL("../catalogue/catalogue.schema.json", import.meta.url), "utf8"),
  );
  const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false }).compile(schema);
  validate(value);
  return (validate.errors ?? []).filter(({ keyword }) => keyword !== "if" && keyword !== "oneOf");
}

function formViolation(value: unknown, error: ErrorObject, locate: Locate): string {
  const parts = error.instancePath.split("/").slice(1);
  const path = stepsOf(parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")));
  const [list, index, ...field] = path;
  const where =
    list === "providers" && typeof index === "number"
      ? `providers[${index}]${nameOf(value, index)}${field.map((part) => `.${part}`).join("")}`
      : path.join(".");
  const { additionalProperty, allowedValues } = error.params as Record<string, unknown>;
  const detail =
    typeof additionalProperty === "string"
      ? ` (${JSON.stringify(additionalProperty.slice(0, 64))})`
      : Array.isArray(allowedValues)
        ? ` (${allowedValues.join(", ")})`
        : "";
  const inner = typeof additionalProperty === "string" ? [...path, additionalProperty] : path;
  return `${locate(inner)}: ${where === "" ? "" : `${where}: `}${error.message}${detail}`;
}

function nameOf(value: unknown, index: number): string {
  const { providers } = value as unknown as { readonly providers: readonly unknown[] };
  const name = (providers[index] as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === "string" ? ` (${name.slice(0, 64)})` : "";
}

function fieldPath(field: string): Path {
  return field === "" ? [] : stepsOf(field.split(/\.|\[/).map((part) => part.replace(/"?\]$/, "")));
}

function stepsOf(parts: readonly string[]): Path {
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
