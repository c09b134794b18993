import type { ServerResponse } from "node:http";
import type { Timer } from "../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import { type ListenerLimits, limitsOf } from "./listener_limits.js";

/** Fills the body of an answer for as long as its source wants, and its reader stays. */
export type BodySource = (sink: StreamSink<string>) => StreamSource;

/**
 * Writes what `open` sends into a response whose headers are sent. A reader that takes nothing for `streamReadTimeoutMs` is cut off.
 *
 * @returns ends it, as when the listener closes
 */
export function streamBody(
  response: ServerResponse,
  open: BodySource,
  bounds: ListenerLimits | undefined,
): () => void {
  let timer: Timer | undefined;
  let source: StreamSource | undefined;
  const sink: StreamSink<string> = {
    send: (text) => {
      if (response.writableEnded || response.destroyed) return true;
      if (response.write(text)) return true;
      timer ??= bounds?.clock.setTimer(limitsOf(bounds).streamReadTimeoutMs, () => response.destroy());
      return false;
    },
    end: () => void response.end(),
  };
  response.on("drain", () => {
    timer?.cancel();
    timer = undefined;
    source?.resume();
  });
  response.once("close", () => {
    timer?.cancel();
    source?.cancel();
  });
  source = open(sink);
  return () => {
    source?.cancel();
    response.end();
  };
}
