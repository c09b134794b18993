// Writes what follows from the fields of a profile in nexus.v1: the settings in src/catalogue/catalogue.schema.json, and
// docs/provider-fields.md. Called by `npm run generate`; a test holds both against the proto.
import { readFileSync, writeFileSync } from "node:fs";
import { getOption } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type FieldRules,
  field as rulesOption,
  type StringRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { entryName } from "../src/catalogue/catalogue_entry.js";
import { isUrlField } from "../src/catalogue/instantiate.js";
import { profileComments } from "../src/gen/nexus/v1/profile_comments.js";
import type { JsonObject } from "../src/model/json.js";
import { optionFields, type ProfileField, profileFields } from "../src/model/providers/profile_fields.js";

export const schemaFile = new URL("../src/catalogue/catalogue.schema.json", import.meta.url);
export const docsFile = new URL("../docs/provider-fields.md", import.meta.url);

/** What an entry of a catalogue has in a form of its own, or not at all. */
const entrysOwn = ["name", "category", "client_id", "params", "template", "strategy", "oauth2_options"];

/** What the schema says more strictly than the proto: a URL of a template is public, and holds variables. */
const forms: Readonly<Record<string, JsonObject>> = {
  user_info_endpoint: { pattern: "^(https://|/)\\S*$" },
};

/** The schema of the catalogue with the settings that the proto declares. */
export function catalogueSchema(present: string): string {
  const schema = JSON.parse(present);
  const { provider, oauth2_options: options } = schema.$defs;
  const settings = profileFields.filter(({ name }) => !entrysOwn.includes(name));
  provider.properties = merged(provider.properties, "Provider", settings, profileFields);
  options.properties = merged({}, "OAuth2Options", optionFields, optionFields);
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The entry's own properties, and the settings behind them. */
function merged(
  present: JsonObject,
  message: string,
  settings: readonly ProfileField[],
  all: readonly ProfileField[],
): JsonObject {
  const derived = new Set(all.filter((field) => settings.includes(field)).map(entryName));
  const own = Object.entries(present).filter(([name]) => !derived.has(name));
  return {
    ...Object.fromEntries(own),
    ...Object.fromEntries(
      settings.map((field) => [
        entryName(field),
        { ...propertyOf(field), description: profileComments[`${message}.${field.name}`] ?? "" },
      ]),
    ),
  };
}

function propertyOf(field: ProfileField): JsonObject {
  const { type: rules } = getOption(field.descriptor, rulesOption);
  switch (field.kind) {
    case "flag":
      return { type: "boolean" };
    case "number":
      return { type: "integer", minimum: 1, ...maximumOf(rules) };
    case "word":
      return { enum: [...field.words] };
    case "duration":
      return { type: "integer", ...secondsOf(rules) };
    case "texts": {
      const list = rules.case === "repeated" ? rules.value : undefined;
      return {
        type: "array",
        ...numbers({ maxItems: list?.maxItems }),
        ...(list?.unique ? { uniqueItems: true } : {}),
        items: textOf(list?.items),
      };
    }
    case "text_map": {
      const map = rules.case === "map" ? rules.value : undefined;
      return {
        type: "object",
        ...numbers({ maxProperties: map?.maxPairs }),
        propertyNames: textOf(map?.keys),
        additionalProperties: textOf(map?.values),
      };
    }
    case "text": {
      if (isUrlField(field) && forms[field.name] === undefined) return { $ref: "#/$defs/url" };
      return { ...textOf(getOption(field.descriptor, rulesOption)), minLength: 1, ...forms[field.name] };
    }
    default:
      return { type: "object" };
  }
}

/** A text with its limits; a rule that is a pattern and nothing else is one here too. */
function textOf(rules: FieldRules | undefined): JsonObject {
  const text = rules?.type.case === "string" ? (rules.type.value as StringRules) : undefined;
  const [pattern] = (rules?.cel ?? []).flatMap(
    ({ expression }) => /^this\.matches\(r'([^']*)'\)$/.exec(expression)?.[1] ?? [],
  );
  return {
    type: "string",
    ...numbers({ minLength: text?.minLen, maxLength: text?.maxLen }),
    ...(pattern === undefined ? {} : { pattern }),
  };
}

function secondsOf(rules: FieldRules["type"]): JsonObject {
  if (rules.case !== "duration") return {};
  const { greaterThan, lessThan } = rules.value;
  const seconds = (limit: { value?: unknown }): bigint | undefined =>
    (limit.value as Duration | undefined)?.seconds;
  return numbers({ minimum: seconds(greaterThan), maximum: seconds(lessThan) });
}

function maximumOf(rules: FieldRules["type"]): JsonObject {
  const limit = rules.case === "uint32" ? rules.value.lessThan : undefined;
  return limit?.case === "lte" ? { maximum: limit.value } : {};
}

function numbers(values: Readonly<Record<string, bigint | undefined>>): JsonObject {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== 0n);
  return Object.fromEntries(given.map(([name, value]) => [name, Number(value)]));
}

/** At most so many words, in whole sentences, but the first one in any case: the API has the rest. */
const maxWords = 16;

/** The first sentences of a comment. */
function beginningOf(comment: string): string {
  const [first = "", ...others] = comment.split(/(?<=\.) (?=[A-Z`])/);
  let text = first;
  for (const sentence of others) {
    if (`${text} ${sentence}`.split(" ").length > maxWords) break;
    text = `${text} ${sentence}`;
  }
  return text;
}

/** The reference of all settings, in the order of the proto. */
export function fieldsPage(): string {
  const rows = (message: string, fields: readonly ProfileField[]): string =>
    fields
      .map(({ name, kind, words }) => {
        const comment = beginningOf(profileComments[`${message}.${name}`] ?? "").replaceAll("|", "\\|");
        const values = words.map((word) => `\`${word}\``).join(", ");
        return `| \`${name}\` | ${values || kind.replace("_", " ")} | ${comment} |`;
      })
      .join("\n");
  const head = "| field | kind, or values | meaning |\n| --- | --- | --- |";
  return `<!-- Generated from proto/nexus/v1/provider.proto by \`npm run generate\`. -->

# Fields of a provider profile

Fields have these names in the API, a providers file, a catalogue, and REST. A duration is \`90s\`; in a catalogue,
\`refresh_window_seconds: 90\`. The [API](../proto/nexus/v1/provider.proto) describes each field in full.

${head}
${rows("Provider", profileFields)}

## \`oauth2_options\`

${head}
${rows("OAuth2Options", optionFields)}
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  writeFileSync(schemaFile, catalogueSchema(readFileSync(schemaFile, "utf8")));
  writeFileSync(docsFile, fieldsPage());
}
