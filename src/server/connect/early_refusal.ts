import { Code } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, endStreamFlag, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { WireError } from "../../service/pipeline/wire_error.js";
import type { Request, Response } from "../listen/http_message.js";
import { toConnectError } from "./connect_binding.js";
import { grpcStatus } from "./wire_answer.js";

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
