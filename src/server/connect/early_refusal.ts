import { Code } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { WireError } from "../../service/pipeline/wire_error.js";
import type { Request, Response } from "../listen/http_message.js";
import { toConnectError } from "./connect_binding.js";
import { base64Of, encodeDetails } from "./wire_answer.js";

/**
 * Answers a call that is refused by its headers alone, in the form of its protocol. It reads nothing of the message, so a caller without
 * access cannot make the daemon hold anything.
 */
export function refuseEarly(request: Request, response: Response, wire: WireError): void {
  if (response.headersSent || response.destroyed) return;
  const error = toConnectError(wire);
  const type = request.headers["content-type"] ?? "";
  const safe = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
  if (type.startsWith("application/grpc")) {
    const status = grpcStatus(wire);
    // gRPC-Web has no trailers of HTTP: an answer without messages has its status among the headers.
    const isWeb = type.startsWith("application/grpc-web");
    response.writeHead(200, { ...safe, "content-type": type, ...(isWeb ? status : {}) });
    if (!isWeb) response.addTrailers(status);
    finish(response);
    return;
  }
  if (type.startsWith("application/connect+")) {
    response.writeHead(200, { ...safe, "content-type": type });
    finish(response, endOfStream({ error: errorToJson(error, undefined) }));
    return;
  }
  const body = Buffer.from(JSON.stringify(errorToJson(error, undefined)));
  response.writeHead(codeToHttpStatus(error.code), {
    ...safe,
    "content-type": "application/json",
    "content-length": body.length,
    ...(error.code === Code.Unauthenticated ? { "www-authenticate": "Bearer" } : {}),
  });
  finish(response, body);
}

function grpcStatus(wire: WireError): Record<string, string> {
  const details = encodeDetails(wire);
  return {
    "grpc-status": String(wire.code),
    "grpc-message": encodeURIComponent(Buffer.from(wire.message).toString()),
    ...(details ? { "grpc-status-details-bin": base64Of(details) } : {}),
  };
}

/** The last message of a stream of the Connect protocol: flag 2, its length, JSON. */
function endOfStream(content: object): Buffer {
  const json = Buffer.from(JSON.stringify(content));
  const head = Buffer.alloc(5);
  head.writeUInt8(2, 0);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

function finish(response: Response, body?: Buffer): void {
  if (body) (response as NodeJS.WritableStream).end(body);
  else response.end();
}
