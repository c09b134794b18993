import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { create, fromBinary, type Message } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { encodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import type { BoundMethod, CallMetadata } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";

const timeoutUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Whether it is a call of gRPC with messages of protobuf. gRPC-Web and gRPC with JSON have other types. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  if (headers[":method"] !== "POST" || type === undefined) return false;
  return (
    type === "application/grpc" ||
    type === "application/grpc+proto" ||
    /^application\/grpc(\+proto)? *;/.test(type)
  );
}

/** `grpc-timeout` in milliseconds; NaN when it is malformed. */
export function timeoutOf(field: string | string[] | undefined): number | undefined {
  if (field === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(field)) ?? [];
  return Number(digits) * (timeoutUnits[unit] ?? Number.NaN);
}

/** How a call of gRPC ends with an error. `encodeURI` throws on half a surrogate pair. */
function grpcStatus({ code, message, details }: WireError): OutgoingHttpHeaders {
  const packed = details.map(({ descriptor, value }) => anyPack(descriptor, value));
  const status = create(StatusSchema, { code, message, details: packed });
  return {
    "grpc-status": code,
    "grpc-message": encodeURI(Buffer.from(message).toString()),
    ...(packed.length > 0 && { "grpc-status-details-bin": encodeBinaryHeader(status, StatusSchema) }),
  };
}

/** Those of a call, its request without the pseudo-header fields of HTTP/2. */
export function metadataOf(fields: IncomingHttpHeaders): CallMetadata {
  const requestHeader = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) requestHeader.append(name, one);
  }
  return { requestHeader, responseHeader: new Headers(), responseTrailer: new Headers() };
}

const headers = { ":status": 200, "content-type": "application/grpc+proto" } as const;
const okTrailers = { "grpc-status": 0 } as const;

/** What an answer begins with. */
export function headersOf(metadata: CallMetadata | undefined): OutgoingHttpHeaders {
  return metadata ? { ...Object.fromEntries(metadata.responseHeader), ...headers } : headers;
}

/** What an answer ends with; without an error it went well. */
export function trailersOf(
  error: WireError | undefined,
  metadata: CallMetadata | undefined,
): OutgoingHttpHeaders {
  const more = metadata && Object.fromEntries(metadata.responseTrailer);
  if (!error) return more ? { ...more, ...okTrailers } : okTrailers;
  return { ...more, ...grpcStatus(error) };
}

/** @throws WireError INVALID_ARGUMENT */
export function decoded(method: BoundMethod, bytes: Buffer): Message {
  const { input } = method.descriptor;
  try {
    return fromBinary(input, bytes);
  } catch {
    throw new WireError(codes.invalid_argument, `the request is no well-formed ${input.typeName}`);
  }
}
