import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";

/** Streams that stay open as long as their callers like, so that a drain can end them: it would wait for them in vain. */
export class OpenStreams {
  readonly #ends = new Set<() => void>();

  open<T>(sink: StreamSink<T>, start: (own: StreamSink<T>) => StreamSource): StreamSource {
    const own: StreamSink<T> = {
      send: (message) => sink.send(message),
      end: (error) => {
        this.#ends.delete(end);
        sink.end(error);
      },
    };
    const source = start(own);
    const end = (): void => {
      source.cancel();
      own.end();
    };
    this.#ends.add(end);
    return {
      resume: () => source.resume(),
      cancel: () => {
        this.#ends.delete(end);
        source.cancel();
      },
    };
  }

  endAll(): void {
    for (const end of this.#ends) end();
  }
}
