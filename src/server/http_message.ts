import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request and its answer, of either generation of HTTP. */
export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

export function isHttp2(response: Response): response is Http2ServerResponse {
  return "stream" in response;
}

/** The path of the request, without its query. */
export function pathOf(request: Request): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}
