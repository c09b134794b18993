import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { FieldViolation } from "../../model/errors.js";
import type { JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { isDay } from "../../model/rfc3339.js";
import { didYouMean } from "../../model/suggestions.js";

/** As deep as the protobuf library goes; it refuses what is deeper. */
const maxDepth = 100;

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
  depth = 0,
): FieldViolation | undefined {
  const wellKnown = ofWellKnown(descriptor, value);
  if (wellKnown !== undefined) return wellKnown === "" ? undefined : { field: path, description: wellKnown };
  if (!isJsonObject(value)) return { field: path, description: "must be an object" };
  if (depth === maxDepth) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const field = descriptor.fields.find((each) => each.name === name || each.jsonName === name);
    if (!field) return unknownField(descriptor, name, path);
    const found = member === null ? undefined : ofField(field, member, within(path, field.name), depth);
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

function ofField(
  field: DescField,
  value: JsonValue,
  path: string,
  depth: number,
): FieldViolation | undefined {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) return { field: path, description: "must be an array" };
    return first(value.entries(), (item, index) => ofItem(field, item, `${path}[${index}]`, depth));
  }
  if (field.fieldKind === "map") {
    if (!isJsonObject(value)) return { field: path, description: "must be an object" };
    return first(Object.entries(value), (item) => ofItem(field, item, path, depth));
  }
  return ofItem(field, value, path, depth);
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

function ofItem(field: DescField, value: JsonValue, path: string, depth: number): FieldViolation | undefined {
  if (field.message) return jsonViolation(field.message, value, path, depth + 1);
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
