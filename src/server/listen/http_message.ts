import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Principal } from "../../model/access/principal.js";

/** A request and its answer, of either generation of HTTP. */
export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

/**
 * Answers paths that are no RPC.
 *
 * @param principal the caller; `undefined` without a valid key, and then it is the route that must refuse
 * @returns whether the request was (or will be) answered
 */
export type Routes = (request: Request, response: Response, principal: Principal | undefined) => boolean;

export function isHttp2(response: Response): response is Http2ServerResponse {
  return "stream" in response;
}

/**
 * Ends a request that was answered before all of it came, or its client would hold the stream open with it. Over HTTP/2 what is still to
 * come is refused (RFC 9113, section 8.1); over HTTP/1.1 it is read away in the time that a request has.
 */
export function refuseRest(response: Response): void {
  if (!isHttp2(response)) {
    // Node does so only where nobody began to read; a reader that did may wait for room that never comes, and so would the client.
    response.once("finish", () => {
      if (response.req.complete) return;
      response.req.removeAllListeners("readable");
      response.req.resume();
    });
    return;
  }
  const { stream } = response;
  // Node asks for trailers when everything else is sent, and its own listener has sent them by the next turn.
  stream.once("wantTrailers", () => {
    if (!stream.readableEnded) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  });
}

/** The path of the request, without its query. */
export function pathOf(request: Request): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

/** What stands behind the path. */
export function queryOf(request: Request): URLSearchParams {
  return new URLSearchParams((request.url ?? "").split("?").slice(1).join("?"));
}

/**
 * The last catch of a handler. It gives `answer` instead of the headers that the failed one left behind. If an answer was begun or cannot
 * be given, it destroys the connection (over HTTP/2 the stream). Never throws: what left here would end the process.
 */
export function answerOrDestroy(response: Response, answer: () => void): void {
  try {
    if (response.headersSent) {
      if (!response.writableEnded) response.destroy();
      return;
    }
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    answer();
  } catch {
    response.destroy();
  }
}

/**
 * Reads a body of at most `maxBytes`. What is beyond is read away, so that the answer reaches a client that sends first and reads
 * afterwards.
 *
 * @param onPart notified of the bytes of each part that is held
 */
export function readBody(
  request: Request,
  maxBytes: number,
  onPart?: (bytes: number) => void,
): Promise<Buffer | "too_large" | "aborted"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const giveUp = (): void => {
      chunks.length = 0;
      resolve("too_large");
    };
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) giveUp();
    request.on("data", (chunk: Buffer) => {
      byteLength += chunk.byteLength;
      if (byteLength > maxBytes) return giveUp();
      chunks.push(chunk);
      onPart?.(chunk.byteLength);
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", () => resolve("aborted"));
    request.once("close", () => {
      chunks.length = 0;
      resolve("aborted");
    });
  });
}
