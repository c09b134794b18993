import type { DescMessage } from "@bufbuild/protobuf";
import type { JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { isDay } from "../../model/rfc3339.js";

/**
 * The path of a `google.protobuf.Timestamp` in the JSON form of a message whose day no month has, such as `2020-02-30`; undefined when
 * there is none. The protobuf library takes such a day for one of the next month.
 *
 * @param value what `JSON.parse` made of the message
 */
export function impossibleDay(
  descriptor: DescMessage,
  value: JsonValue | undefined,
  path = "",
): string | undefined {
  if (descriptor.typeName === "google.protobuf.Timestamp") {
    const [day] = (typeof value === "string" && /^\d{4}-\d\d-\d\d/.exec(value)) || [];
    return day === undefined || isDay(day) ? undefined : path;
  }
  if (value === undefined || !isJsonObject(value)) return undefined;
  for (const field of descriptor.fields) {
    const { message } = field;
    const member = value[field.jsonName] ?? value[field.name];
    if (!message || member === undefined || member === null) continue;
    const at = path === "" ? field.name : `${path}.${field.name}`;
    const items = field.fieldKind === "message" ? [member] : Object.values(member);
    for (const item of items as JsonValue[]) {
      const found = impossibleDay(message, item, at);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
