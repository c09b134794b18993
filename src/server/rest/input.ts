import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type { JsonObject } from "../../model/json.js";
import { JsonFields } from "../../model/json_fields.js";

/**
 * Reads the fields of a body. Null counts as absent: it is what an unset slice or pointer of a Go client looks like.
 *
 * @throws InvalidArgument naming every field of another type
 */
export function readFields<T>(body: JsonObject, read: (fields: JsonFields) => T): T {
  const violations: FieldViolation[] = [];
  const result = read(new JsonFields(body, violations));
  if (violations.length > 0) throw new InvalidArgument(violations);
  return result;
}

/** Ids are UUIDs; their case does not matter (RFC 9562 section 4). */
export function idOf(value: string | undefined): string {
  return (value ?? "").trim().toLowerCase();
}
