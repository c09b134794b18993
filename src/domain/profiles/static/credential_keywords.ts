import type { JsonValue } from "../../../model/json.js";

/** Drafts in which every keyword below means the same. */
export const drafts = [
  "https://json-schema.org/draft/2020-12/schema",
  "https://json-schema.org/draft/2019-09/schema",
  "http://json-schema.org/draft-07/schema",
];

/** Of a schema of a credential. */
export const objectKeywords = [
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "examples",
  "type",
  "properties",
  "required",
  "additionalProperties",
  "minProperties",
  "maxProperties",
  "dependentRequired",
];

/** Of a schema of one field: what a form can show and a value can be held against. */
export const stringKeywords = [
  "$comment",
  "title",
  "description",
  "examples",
  "default",
  "deprecated",
  "readOnly",
  "writeOnly",
  "type",
  "enum",
  "const",
  "pattern",
  "minLength",
  "maxLength",
  "format",
];

/** Formats that are known, and what they ask for; `password` is for the form and asks for nothing. */
export const formats = {
  password: "",
  email: "an e-mail address",
  hostname: "a host name",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
  uri: "a whole address, such as https://example.com/",
  uuid: "a UUID",
  date: "a date, such as 2026-11-30",
  "date-time": "a time, such as 2026-11-30T12:00:00Z",
} as const;

/** What the format of a schema that passed asks for; empty for nothing. */
export function formatPhrase(format: JsonValue | undefined): string {
  return typeof format === "string" && Object.hasOwn(formats, format)
    ? formats[format as keyof typeof formats]
    : "";
}
