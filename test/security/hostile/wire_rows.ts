import { deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Code } from "@connectrpc/connect";
import { GetConnectionRequestSchema } from "../../../src/gen/nexus/v1/connection_pb.js";
import { frame } from "./bytes.js";
import { badType, canary, letters, type RpcRow, table, unknownId } from "./row.js";

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
type Line = readonly [
  name: string,
  body: Buffer,
  code: WireRow["code"],
  headers?: Readonly<Record<string, string>>,
];

const rowOf = ([name, body, code, headers]: Line): WireRow => ({
  name,
  body,
  code,
  ...(headers === undefined ? {} : { headers }),
});

export const wireRows: readonly WireRow[] = (
  [
    ["a sound one, as a control", frame(sound), "NotFound"],
    ["a length that is longer than the message", frame(sound, 0, 500), "Unimplemented"],
    ["a length of 4 GiB", frame(sound, 0, 0xffff_ffff), "ResourceExhausted"],
    ["a length that is shorter than the message", frame(sound, 0, 10), "ResourceExhausted"],
    ["half a length", Buffer.from([0, 0, 0]), "Unimplemented"],
    ["nothing", Buffer.alloc(0), "Unimplemented"],
    ["two messages where there is one", Buffer.concat([frame(sound), frame(sound)]), "Unimplemented"],
    ["1 MiB and a byte", frame(large), "ResourceExhausted"],
    ["the compressed flag without a compression", frame(sound, 1), "Internal"],
    ["an unknown compression", frame(sound, 1), "Unimplemented", { "grpc-encoding": "zstd" }],
    ["gzip that is none", frame(sound, 1), "Internal", { "grpc-encoding": "gzip" }],
    ["gzip of 64 MiB", frame(bomb, 1), "ResourceExhausted", { "grpc-encoding": "gzip" }],
    [
      "deflate of a sound message, as a control",
      frame(deflateSync(sound), 1),
      "NotFound",
      { "grpc-encoding": "deflate" },
    ],
    ["a timeout that is none", frame(sound), "Internal", { "grpc-timeout": "soon" }],
  ] satisfies Line[]
).map(rowOf);

const health = "/grpc.health.v1.Health/Check";
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const textField = (number: number, text: string | Uint8Array): Buffer =>
  frame(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(Buffer.from(text)).finish());
const at = (path: string, lines: readonly Line[]): WireRow[] =>
  lines.map((line) => ({ path, ...rowOf(line) }));

/**
 * The two standard services, which anybody may ask. Reflection puts its errors into its answers.
 */
export const standardRows: readonly WireRow[] = [
  ...at(health, [
    ["health of __proto__", textField(1, "__proto__"), "NotFound"],
    ["health of constructor", textField(1, "constructor"), "NotFound"],
    ["health of an escape", textField(1, "\u001b[2J"), "NotFound"],
    ["health of 1 MiB", textField(1, large.subarray(0, 1_000_000)), "NotFound"],
    ["health, truncated", frame(Buffer.of(0x0a, 0x7f, 0x61)), "InvalidArgument"],
  ]),
  ...at("/grpc.health.v1.Health/Watch", [
    ["a watch of 1 MB", textField(1, large.subarray(0, 1_000_000)), "Ok"],
  ]),
  ...at(reflection, [
    ["the file of __proto__", textField(3, "__proto__"), "Ok"],
    ["the symbol __proto__", textField(4, "__proto__"), "Ok"],
    ["the file of a path", textField(3, "../../etc/passwd"), "Ok"],
    ["reflection, truncated", frame(Buffer.of(0x1a, 0x7f, 0x61)), "InvalidArgument"],
  ]),
  ...at("/nexus.v1.TokenService/__proto__", [["a method that is none", frame(sound), "Unimplemented"]]),
  ...at("/__proto__/constructor", [["a service that is none", frame(sound), "Unimplemented"]]),
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

const deepRow = (name: string, depth: number): RpcRow => ({
  rpc: "ProviderService/CreateProvider",
  name,
  fields: ["provider.params"],
  bytes: () => deepStruct(depth),
  demand: badType,
});

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
  deepRow("50 objects in each other", 50),
  deepRow("20000 objects in each other", 5_000),
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
  ...table("ConnectionService/ListConnections", [
    ["page_size", "a size beyond 2^31", '{"page_size":9007199254740993}', badType],
  ]),
  ...table("AuditService/VerifyAuditLog", [
    ["checkpoint_sequence", "2^64", '{"checkpoint_sequence":"18446744073709551616"}', badType],
  ]),
  ...table("AuditService/ListAuditEvents", [
    ["since", "a time that is none", '{"since":"2026-13-01T00:00:00Z"}', badType],
    ["until", "a time that is none", '{"until":"2026-13-01T00:00:00Z"}', badType],
    ["without_daemon", "a text for a flag", '{"without_daemon":"yes"}', badType],
  ]),
  ...table("TokenService/GetToken", [
    ["min_ttl", "a duration that is none", '{"connection_id":"x","min_ttl":"1e9s"}', badType],
  ]),
];
