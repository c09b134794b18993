import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type Message,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { hasDuplicateNames } from "../../model/json_object.js";
import { isDay } from "../../model/rfc3339.js";
import { didYouMean } from "../../model/suggestions.js";

/** Objects in objects; a profile with its JSON Schema has ten. Deeper ones would exhaust the stack of a function that walks them. */
const maxDepth = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A body that is no JSON object, or could be read as several. Nothing of it is in the message. */
export class MalformedJson extends Error {
  override readonly name = "MalformedJson";
}

/**
 * A request in JSON whose members the caller of this function looks for.
 *
 * @throws MalformedJson; InvalidArgument for a member called `__proto__`
 */
export function objectFromJson(bytes: Uint8Array): JsonObject {
  const value = parseObject(bytes);
  const reserved = reservedName(value);
  if (reserved === undefined) return value;
  throw new InvalidArgument([{ field: reserved, description: "has a name that is reserved" }]);
}

/** What holds for every request in JSON: it is one object in UTF-8, not too deep, and has no name twice. @throws MalformedJson */
function parseObject(bytes: Uint8Array): JsonObject {
  const text = decodeText(bytes);
  const value = parseText(text);
  if (!isJsonObject(value)) throw new MalformedJson("the body must be a JSON object");
  if (isDeeper(value, maxDepth)) throw new MalformedJson(`the body is nested more than ${maxDepth} deep`);
  if (hasDuplicateNames(text)) throw new MalformedJson("an object of the body has two members of one name");
  return value;
}

/**
 * The message that a request in JSON is. Unknown fields are refused, because a mistyped name would do something else. The rules of its
 * proto, and those for all texts and names (`message_rules.ts`), hold whatever a message came in: the pipeline has them checked.
 *
 * @param registry what an `Any` may hold
 * @throws MalformedJson; InvalidArgument naming the first field that is wrong
 */
export function messageFromJson(descriptor: DescMessage, bytes: Uint8Array, registry: Registry): Message {
  const value = parseObject(bytes);
  const violation = jsonViolation(descriptor, value);
  if (violation) throw new InvalidArgument([violation]);
  try {
    return fromJson(descriptor, value, { registry });
  } catch (error) {
    throw new MalformedJson(withoutValue((error as Error).message));
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedJson("the body is not JSON in UTF-8");
  }
}

function parseText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new MalformedJson("the body is not JSON");
  }
}

/**
 * What the library says of JSON that it cannot decode, up to what it found there. The library goes on with the value, which may be a secret
 * in the wrong place. It must not get into the caller's log, or control the terminal that shows it.
 */
const decodeFailure = /cannot decode (?:(?:field|message|enum|oneof) )?[\w.]+ from JSON/;

/** The library names neither the field of these nor their form. */
const forms: Readonly<Record<string, string>> = {
  Duration: 'a duration is a text of seconds, as "60s"',
  Timestamp: 'a time is a text as "2026-01-31T12:00:00Z"',
};

function withoutValue(message: string): string {
  const [what] = decodeFailure.exec(message) ?? [];
  if (what === undefined) return "the body cannot be decoded";
  const [, wellKnown = ""] = / google\.protobuf\.(\w+) from/.exec(what) ?? [];
  return `${what}: ${forms[wellKnown] ?? "it is no such value"}`;
}

/**
 * The first thing that is wrong with the JSON form of a message. It is a member that is no field, a value of another kind than the field's,
 * or a `google.protobuf.Timestamp` whose day no month has. The protobuf library takes that for a day of the next month. A field may be
 * called by its name or in lowerCamelCase. Numbers out of range, base64 and the like are left to the library.
 *
 * A description repeats nothing of a value, which in the wrong place may be a secret; of names only those that could be a field's.
 *
 * @param value what `JSON.parse` made of the message
 * @returns undefined when nothing is found
 */
export function jsonViolation(
  descriptor: DescMessage,
  value: JsonValue,
  path = "",
): FieldViolation | undefined {
  const wellKnown = ofWellKnown(descriptor, value);
  if (wellKnown !== undefined) return wellKnown === "" ? undefined : { field: path, description: wellKnown };
  if (!isJsonObject(value)) return { field: path, description: "must be an object" };
  for (const [name, member] of Object.entries(value)) {
    const field = descriptor.fields.find((each) => each.name === name || each.jsonName === name);
    if (!field) return unknownField(descriptor, name, path);
    const found = member === null ? undefined : ofField(field, member, within(path, field.name));
    if (found) return found;
  }
  return undefined;
}

function within(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function unknownField({ fields }: DescMessage, name: string, path: string): FieldViolation {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)) {
    return { field: path === "" ? "the body" : path, description: "has a member that is no field" };
  }
  const names = fields.map((field) => (/[A-Z]/.test(name) ? field.jsonName : field.name));
  const meant = didYouMean(name, names);
  return {
    field: within(path, name),
    description: meant === undefined ? "no such field" : `no such field; ${meant}`,
  };
}

function ofField(field: DescField, value: JsonValue, path: string): FieldViolation | undefined {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) return { field: path, description: "must be an array" };
    return first(value.entries(), (item, index) => ofItem(field, item, `${path}[${index}]`));
  }
  if (field.fieldKind === "map") {
    if (!isJsonObject(value)) return { field: path, description: "must be an object" };
    return first(Object.entries(value), (item) => ofItem(field, item, path));
  }
  return ofItem(field, value, path);
}

function first<K>(
  items: Iterable<[K, JsonValue]>,
  judge: (item: JsonValue, key: K) => FieldViolation | undefined,
): FieldViolation | undefined {
  for (const [key, item] of items) {
    const found = judge(item, key);
    if (found) return found;
  }
  return undefined;
}

function ofItem(field: DescField, value: JsonValue, path: string): FieldViolation | undefined {
  if (field.message) return jsonViolation(field.message, value, path);
  const description = field.enum ? ofEnum(field.enum, value) : ofScalar(field.scalar, value);
  return description === undefined ? undefined : { field: path, description };
}

function ofEnum({ values, typeName }: DescEnum, value: JsonValue): string | undefined {
  if (typeName === "google.protobuf.NullValue" || typeof value === "number") return undefined;
  const names = values.map(({ name }) => name);
  if (typeof value === "string" && names.includes(value)) return undefined;
  return `must be one of ${names.slice(1).join(", ")}`;
}

function ofScalar(scalar: ScalarType | undefined, value: JsonValue): string | undefined {
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) {
    return typeof value === "string" ? undefined : "must be a string";
  }
  if (scalar === ScalarType.BOOL) return typeof value === "boolean" ? undefined : "must be true or false";
  return typeof value === "number" || typeof value === "string" ? undefined : "must be a number";
}

/** Empty when there is nothing to say of it; undefined for a message that is an object of its fields. */
function ofWellKnown({ typeName }: DescMessage, value: JsonValue): string | undefined {
  if (!typeName.startsWith("google.protobuf.")) return undefined;
  if (typeName === "google.protobuf.Duration") {
    const isDuration = typeof value === "string" && /^-?\d{1,12}(\.\d{1,9})?s$/.test(value);
    return isDuration ? "" : 'must be a duration such as "60s"';
  }
  if (typeName === "google.protobuf.Timestamp") {
    const [day] = (typeof value === "string" && /^\d{4}-\d\d-\d\d(?=T)/.exec(value)) || [];
    if (day === undefined) return 'must be a time such as "2026-01-31T12:00:00Z"';
    return isDay(day) ? "" : "names a day that no month has";
  }
  return "";
}

function isDeeper(value: JsonValue, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1));
}

/** The path of a member that is called `__proto__`, which is no property where it is assigned; undefined when there is none. */
export function reservedName(value: JsonValue, path = ""): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, item] of Object.entries(value)) {
    const at = Array.isArray(value) || name === "__proto__" ? `${path}["${name}"]` : `${path}.${name}`;
    const found = name === "__proto__" ? at : reservedName(item, at);
    if (found !== undefined) return found.replace(/^\./, "");
  }
  return undefined;
}
