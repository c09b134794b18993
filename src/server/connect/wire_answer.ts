import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
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

/** `google.rpc.Status` of an error, as `grpc-status-details-bin` carries it; `undefined` when there are no details. */
export function encodeDetails(error: WireError): Uint8Array | undefined {
  if (error.details.length === 0) return undefined;
  const details = error.details.map(({ descriptor, value }) => anyPack(descriptor, value));
  return toBinary(StatusSchema, create(StatusSchema, { code: error.code, message: error.message, details }));
}

/** As binary metadata are sent: without padding (gRPC over HTTP/2, "Custom-Metadata"). */
export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replace(/=+$/, "");
}

/** The name by which a method is reported: `nexus.v1.TokenService/GetToken`. */
export function methodName(descriptor: {
  readonly parent: { readonly typeName: string };
  readonly name: string;
}): string {
  return `${descriptor.parent.typeName}/${descriptor.name}`;
}
