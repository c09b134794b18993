/** A JSON value (RFC 8259), as `google.protobuf.Struct` holds it. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };
export type JsonObject = { [name: string]: JsonValue };
