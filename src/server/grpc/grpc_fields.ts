import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { CallMetadata } from "../../service/pipeline/bound_service.js";
import type { WireError } from "../../service/pipeline/wire_error.js";
import { grpcStatus } from "../connect/wire_answer.js";

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
