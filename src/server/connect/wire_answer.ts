import type { OutgoingHttpHeaders } from "node:http";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { encodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import type { OnUnexpected } from "../listen/listener.js";

/** For an error that is met before a call has a signal. */
export const neverAborted: AbortSignal = new AbortController().signal;

/**
 * What a caller gets of `error`. Anything but a `WireError` is an error of the daemon: it is reported, and nothing of
 * it is sent.
 */
export function toWireError(
  error: unknown,
  signal: AbortSignal,
  method: string,
  report: OnUnexpected,
): WireError {
  if (error instanceof WireError) return error;
  if (signal.aborted && error === signal.reason)
    return new WireError(codes.cancelled, "the call was cancelled");
  report(error, method);
  return new WireError(codes.internal, "internal error");
}

/** How a call of gRPC ends with an error. `encodeURI` throws on half a surrogate pair. */
export function grpcStatus({ code, message, details }: WireError): OutgoingHttpHeaders {
  const packed = details.map(({ descriptor, value }) => anyPack(descriptor, value));
  const status = create(StatusSchema, { code, message, details: packed });
  return {
    "grpc-status": code,
    "grpc-message": encodeURI(Buffer.from(message).toString()),
    ...(packed.length > 0 && { "grpc-status-details-bin": encodeBinaryHeader(status, StatusSchema) }),
  };
}

/** The name by which a method is reported: `nexus.v1.TokenService/GetToken`. */
export function methodName(descriptor: {
  readonly parent: { readonly typeName: string };
  readonly name: string;
}): string {
  return `${descriptor.parent.typeName}/${descriptor.name}`;
}
