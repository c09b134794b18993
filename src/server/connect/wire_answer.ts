import type { OutgoingHttpHeaders } from "node:http";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, encodeBinaryHeader } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, endStreamFlag, errorToJson } from "@connectrpc/connect/protocol-connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import type { Request, Response } from "../listen/http_message.js";
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

export function toConnectError(error: WireError): ConnectError {
  const details = error.details.map(({ descriptor, value }) => ({ desc: descriptor, value }));
  return new ConnectError(error.message, error.code as Code, undefined, details);
}

/**
 * Answers a call that is refused by its headers alone, in the form of its protocol. It reads nothing of the message, so a caller without
 * access cannot make the daemon hold anything.
 */
export function refuseEarly(request: Request, response: Response, wire: WireError): void {
  if (response.headersSent || response.destroyed) return;
  const error = toConnectError(wire);
  const json = errorToJson(error, undefined);
  const type = request.headers["content-type"] ?? "";
  const safe = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
  if (type.startsWith("application/grpc")) {
    const status = grpcStatus(wire);
    // gRPC-Web has no trailers of HTTP: an answer without messages has its status among the headers.
    const isWeb = type.startsWith("application/grpc-web");
    response.writeHead(200, { ...safe, "content-type": type, ...(isWeb ? status : {}) });
    if (!isWeb) response.addTrailers(status);
    response.end();
    return;
  }
  if (type.startsWith("application/connect+")) {
    response.writeHead(200, { ...safe, "content-type": type });
    // The last message of a stream of the Connect protocol.
    const end = Buffer.from(JSON.stringify({ error: json }));
    (response as NodeJS.WritableStream).end(encodeEnvelope(endStreamFlag, end));
    return;
  }
  const body = JSON.stringify(json);
  response.writeHead(codeToHttpStatus(error.code), {
    ...safe,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(error.code === Code.Unauthenticated ? { "www-authenticate": "Bearer" } : {}),
  });
  (response as NodeJS.WritableStream).end(body);
}
