import { deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Code } from "@connectrpc/connect";
import { GetConnectionRequestSchema } from "../../../src/gen/nexus/v1/connection_pb.js";
import { frame } from "./bytes.js";
import { canary, letters, type RpcRow, unknownId } from "./row.js";

/** What is sent below the level of messages, by hand over HTTP/2. */
export interface WireRow {
  /** Default `ConnectionService/GetConnection`. */
  readonly path?: string;
  readonly name: string;
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code: keyof typeof Code | "Ok";
}

const sound = Buffer.from(
  toBinary(GetConnectionRequestSchema, create(GetConnectionRequestSchema, { connectionId: unknownId })),
);
const large = Buffer.alloc(1_048_577, 0x61);
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

/** The codes are those of the gRPC specifications ("Compression", "Responses"), INTERNAL where they say so. */
export const wireRows: readonly WireRow[] = [
  { name: "a sound one, as a control", body: frame(sound), code: "NotFound" },
  { name: "a length that is longer than the message", body: frame(sound, 0, 500), code: "Unimplemented" },
  { name: "a length of 4 GiB", body: frame(sound, 0, 0xffff_ffff), code: "ResourceExhausted" },
  { name: "a length that is shorter than the message", body: frame(sound, 0, 10), code: "ResourceExhausted" },
  { name: "half a length", body: Buffer.from([0, 0, 0]), code: "Unimplemented" },
  { name: "nothing", body: Buffer.alloc(0), code: "Unimplemented" },
  {
    name: "two messages where there is one",
    body: Buffer.concat([frame(sound), frame(sound)]),
    code: "Unimplemented",
  },
  { name: "1 MiB and a byte", body: frame(large), code: "ResourceExhausted" },
  {
    name: "the compressed flag without a compression, which grpc-js overlooks",
    body: frame(sound, 1),
    code: "NotFound",
  },
  {
    name: "an unknown compression",
    body: frame(sound, 1),
    headers: { "grpc-encoding": "zstd" },
    code: "Unimplemented",
  },
  {
    name: "gzip that is none",
    body: frame(sound, 1),
    headers: { "grpc-encoding": "gzip" },
    code: "Internal",
  },
  {
    name: "gzip of 64 MiB",
    body: frame(bomb, 1),
    headers: { "grpc-encoding": "gzip" },
    code: "ResourceExhausted",
  },
  {
    name: "deflate of a sound message, as a control",
    body: frame(deflateSync(sound), 1),
    headers: { "grpc-encoding": "deflate" },
    code: "NotFound",
  },
  {
    name: "a timeout that is none",
    body: frame(sound),
    headers: { "grpc-timeout": "soon" },
    code: "Internal",
  },
];

const health = "/grpc.health.v1.Health/Check";
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const textField = (number: number, text: Uint8Array): Buffer =>
  frame(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(text).finish());

/**
 * The two standard services, which libraries serve and anybody may ask. They read what there is of a truncated message, and reflection
 * puts its errors into its answers.
 */
export const standardRows: readonly WireRow[] = [
  {
    path: health,
    name: "health of __proto__",
    body: textField(1, Buffer.from("__proto__")),
    code: "NotFound",
  },
  {
    path: health,
    name: "health of constructor",
    body: textField(1, Buffer.from("constructor")),
    code: "NotFound",
  },
  {
    path: health,
    name: "health of an escape",
    body: textField(1, Buffer.from("\u001b[2J")),
    code: "NotFound",
  },
  {
    path: health,
    name: "health of 1 MiB",
    body: textField(1, large.subarray(0, 1_000_000)),
    code: "NotFound",
  },
  {
    path: "/grpc.health.v1.Health/Watch",
    name: "a watch of 1 MB",
    body: textField(1, large.subarray(0, 1_000_000)),
    code: "Ok",
  },
  { path: health, name: "health, truncated", body: frame(Buffer.of(0x0a, 0x7f, 0x61)), code: "NotFound" },
  {
    path: reflection,
    name: "the file of __proto__",
    body: textField(3, Buffer.from("__proto__")),
    code: "Ok",
  },
  {
    path: reflection,
    name: "the symbol __proto__",
    body: textField(4, Buffer.from("__proto__")),
    code: "Ok",
  },
  {
    path: reflection,
    name: "the file of a path",
    body: textField(3, Buffer.from("../../etc/passwd")),
    code: "Ok",
  },
  {
    path: reflection,
    name: "reflection, truncated",
    body: frame(Buffer.of(0x1a, 0x7f, 0x61)),
    code: "Ok",
  },
  {
    path: "/nexus.v1.TokenService/__proto__",
    name: "a method that is none",
    body: frame(sound),
    code: "Unimplemented",
  },
  {
    path: "/__proto__/constructor",
    name: "a service that is none",
    body: frame(sound),
    code: "Unimplemented",
  },
];

const get = "ConnectionService/GetConnection";
const bytes = (name: string, message: Uint8Array, code: keyof typeof Code = "InvalidArgument"): RpcRow => ({
  rpc: get,
  name,
  fields: ["connection_id"],
  bytes: () => message,
  demand: { code },
});

const groups = (depth: number): Uint8Array =>
  Uint8Array.from([...Array(depth).fill(0x7b), ...Array(depth).fill(0x7c)]);
const field = (number: number, type: WireType): BinaryWriter => new BinaryWriter().tag(number, type);
const idField = (): BinaryWriter => field(1, WireType.LengthDelimited).string(unknownId);

/** The profile `{params: {a: {a: ...}}}` in bytes, so deep that a decoder that recurses would end the process. */
function deepStruct(depth: number): Uint8Array {
  let value: Uint8Array = new BinaryWriter().tag(3, WireType.LengthDelimited).string("x").finish();
  for (let level = 0; level < depth; level++) {
    const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string("a");
    const pair = entry.tag(2, WireType.LengthDelimited).bytes(value).finish();
    const struct = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(pair).finish();
    value =
      level === depth - 1
        ? struct
        : new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(struct).finish();
  }
  const profile = new BinaryWriter().tag(25, WireType.LengthDelimited).bytes(value).finish();
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(profile).finish();
}

export const byteRows: readonly RpcRow[] = [
  bytes("no protobuf", Buffer.from("GET / HTTP/1.1\r\n\r\n")),
  bytes("the field 0", Uint8Array.of(0x02, 0x00)),
  bytes("the wire type 7", Uint8Array.of(0x0f)),
  bytes("a group that does not end", Uint8Array.of(0x7b, 0x08, 0x01)),
  bytes("a group that ends as another", Uint8Array.of(0x7b, 0x84, 0x01)),
  bytes("an end without a group", Uint8Array.of(0x7c)),
  bytes("100000 groups in each other", groups(100_000)),
  bytes("the id as a number", field(1, WireType.Varint).uint32(200).finish()),
  bytes("the id as 8 bytes", field(1, WireType.Bit64).raw(new Uint8Array(8).fill(0xff)).finish()),
  bytes("a truncated unknown field", idField().tag(99, WireType.LengthDelimited).uint32(50).finish()),
  bytes(
    "unknown fields beside an unknown id",
    idField().tag(99, WireType.Varint).uint32(1).finish(),
    "NotFound",
  ),
  bytes(
    "the id twice, of which the last counts",
    idField().tag(1, WireType.LengthDelimited).string("x").finish(),
  ),
  bytes("500000 unknown fields", Buffer.alloc(1_000_000, Buffer.of(0x78, 0x01)), "InvalidArgument"),
  bytes("a long id in 900 KiB", field(1, WireType.LengthDelimited).string(letters(900_000)).finish()),
  {
    rpc: "ProviderService/CreateProvider",
    name: "50 objects in each other",
    fields: ["provider.params"],
    bytes: () => deepStruct(50),
    demand: { code: "InvalidArgument" },
  },
  {
    rpc: "ProviderService/CreateProvider",
    name: "20000 objects in each other",
    fields: ["provider.params"],
    bytes: () => deepStruct(5_000),
    demand: { code: "InvalidArgument" },
  },
];

const json = (name: string, text: string, code: keyof typeof Code = "InvalidArgument"): RpcRow => ({
  rpc: "ConnectionService/RequestConnection",
  name,
  fields: ["user_id"],
  json: () => text,
  demand: { code },
});

/** JSON that no message can be read from, or that two readers would read differently. */
export const jsonRows: readonly RpcRow[] = [
  json("no JSON", "{"),
  json("nothing", ""),
  json("a list", "[]"),
  json("a text", `"${canary}"`),
  json("a name twice", '{"user_id":"ada","user_id":"eve"}'),
  json("a name in both spellings", '{"user_id":"ada","userId":"eve"}'),
  json("both of a oneof", `{"provider_id":"${unknownId}","provider_name":"x"}`),
  json("1e400", '{"user_id":1e400}'),
  json("a number for a text", '{"user_id":9007199254740993}'),
  json("100000 deep", `{"scopes":${"[".repeat(100_000)}${"]".repeat(100_000)}}`),
  json("a secret that is no JSON", `{"user_id":${canary}}`),
  json("1 MiB and a byte", `{"user_id":"${letters(1_048_577)}"}`, "ResourceExhausted"),
  {
    rpc: "ConnectionService/ListConnections",
    name: "a size beyond 2^31",
    fields: ["page_size"],
    json: () => '{"page_size":9007199254740993}',
    demand: { code: "InvalidArgument" },
  },
  {
    rpc: "AuditService/VerifyAuditLog",
    name: "2^64",
    fields: ["checkpoint_sequence"],
    json: () => '{"checkpoint_sequence":"18446744073709551616"}',
    demand: { code: "InvalidArgument" },
  },
  {
    rpc: "AuditService/ListAuditEvents",
    name: "a time that is none",
    fields: ["since"],
    json: () => '{"since":"2026-13-01T00:00:00Z"}',
    demand: { code: "InvalidArgument" },
  },
  {
    rpc: "TokenService/GetToken",
    name: "a duration that is none",
    fields: ["min_ttl"],
    json: () => '{"connection_id":"x","min_ttl":"1e9s"}',
    demand: { code: "InvalidArgument" },
  },
];
