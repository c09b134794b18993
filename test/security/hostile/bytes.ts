import type { DescField } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Leaf } from "./coverage.js";

/** Bytes that are no UTF-8: an overlong U+0000, half of a surrogate pair, a character cut off. */
export const noUtf8: readonly Uint8Array[] = [
  Uint8Array.of(0xc0, 0x80),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xe2, 0x82),
];

type Value = (writer: BinaryWriter, field: DescField) => BinaryWriter;

/** A message in which nothing but one field is set, as `value` writes it, with sound lengths around it. */
export function messageWith({ fields }: Leaf, value: Value): Uint8Array {
  const [field, ...below] = fields;
  if (!field) throw new Error("a leaf without a field");
  const writer = new BinaryWriter();
  if (below.length === 0) return value(writer, field).finish();
  const inner = messageWith({ path: "", fields: below }, value);
  return writer.tag(field.number, WireType.LengthDelimited).bytes(inner).finish();
}

/** A length that goes beyond the end. */
export const lyingLength: Value = (writer, field) =>
  writer.tag(field.number, WireType.LengthDelimited).uint32(1000).raw(Uint8Array.of(0x61));

/** A number of eleven bytes; ten are the most (Protocol Buffers, "Base 128 Varints"). */
export const endlessVarint: Value = (writer, field) =>
  writer.tag(field.number, WireType.Varint).raw(Uint8Array.from([...Array(10).fill(0xff), 0x01]));

/** A tag and nothing after it. */
export const cutOff: Value = (writer, field) =>
  writer.tag(field.number, isText(field) ? WireType.LengthDelimited : WireType.Varint);

export const text =
  (bytes: Uint8Array): Value =>
  (writer, field) =>
    writer.tag(field.number, WireType.LengthDelimited).bytes(bytes);

export function isText(field: DescField): boolean {
  const isString =
    field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar");
  return isString && "scalar" in field && field.scalar === 9;
}

/** A gRPC message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export function frame(bytes: Uint8Array, flag = 0, length = bytes.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}
