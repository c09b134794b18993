import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { Clock } from "../../runtime/clock.js";
import { isHttp2, type Response } from "./http_message.js";

/** How long a stream waits for a client that does not read what was sent. */
export interface ReadDeadline {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/**
 * Resets a stream in the next turn. Within a callback of its session Node would send at once, and free streams that the parser still
 * uses (nodejs/node#64113).
 */
export function closeStream(stream: ServerHttp2Stream, code: number): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(code);
  });
}

/** Ends a session and its streams in the next turn, as `closeStream`. */
export function cutOff(session: Http2Session): void {
  setImmediate(() => {
    if (!session.destroyed) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
}

/** `ENHANCE_YOUR_CALM`, which gRPC clients read as RESOURCE_EXHAUSTED; what waits to be sent is dropped. */
export function resetStream(stream: ServerHttp2Stream): void {
  closeStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** The last catch of a call that can be answered no more: `INTERNAL_ERROR`, which gRPC clients read as INTERNAL. Never throws. */
export function breakStream(stream: ServerHttp2Stream): void {
  closeStream(stream, constants.NGHTTP2_INTERNAL_ERROR);
}

export function resetResponse(response: Response): void {
  if (isHttp2(response)) resetStream(response.stream);
  else response.destroy();
}
