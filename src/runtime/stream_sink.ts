/** Where the messages of one stream go. */
export interface StreamSink<T> {
  /**
   * Takes a message, in any case; one that comes after the end or when the reader has left is dropped.
   *
   * @returns whether there is room for more; when there is not, `StreamSource.resume` is called once there is, and what is sent
   * before that waits in memory
   */
  send(message: T): boolean;
  /** Nothing follows. @param error why it failed; left out when it went well */
  end(error?: unknown): void;
}

/** What fills a sink. Both methods may be called when the stream has ended already, and do nothing then. */
export interface StreamSource {
  /** There is room again. */
  resume(): void;
  /** The reader has left: nothing more is sent, and the source releases what it holds at once. */
  cancel(): void;
}

/**
 * Fills a sink with what an iterable yields, which is asked for the next when there is room for it.
 *
 * @param start its signal aborts at `cancel`. A source that waits for its next message must look at it; one that nobody pulls any
 * more is asked to return
 */
export function pump<T>(start: (signal: AbortSignal) => AsyncIterable<T>, sink: StreamSink<T>): StreamSource {
  const cancelled = new AbortController();
  const source = pumpRuns(() => ofOneEach(start(cancelled.signal)), sink);
  return {
    resume: () => source.resume(),
    cancel: () => {
      cancelled.abort();
      source.cancel();
    },
  };
}

async function* ofOneEach<T>(messages: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  for await (const message of messages) yield [message];
}

/**
 * As `pump`, of messages that come in runs: within a run each is asked for when there is room for it, and nothing is awaited between them
 * while there is. The source never waits for long, and so needs no signal.
 */
export function pumpRuns<T>(start: () => AsyncIterable<Iterable<T>>, sink: StreamSink<T>): StreamSource {
  return new Pump(start, sink);
}

class Pump<T> implements StreamSource {
  readonly #sink: StreamSink<T>;
  #iterator: AsyncIterator<Iterable<T>> | undefined;
  #onRoom: (() => void) | undefined;
  #isCancelled = false;

  constructor(start: () => AsyncIterable<Iterable<T>>, sink: StreamSink<T>) {
    this.#sink = sink;
    this.#run(start).then(
      () => this.#isCancelled || sink.end(),
      (error: unknown) => this.#isCancelled || sink.end(error),
    );
  }

  async #run(start: () => AsyncIterable<Iterable<T>>): Promise<void> {
    const iterator = start()[Symbol.asyncIterator]();
    this.#iterator = iterator;
    for (;;) {
      const step = await iterator.next();
      if (this.#isCancelled || step.done === true) return;
      for (const message of step.value) {
        if (!this.#sink.send(message) && !this.#isCancelled) {
          await new Promise<void>((resolve) => {
            this.#onRoom = resolve;
          });
        }
        if (this.#isCancelled) return;
      }
    }
  }

  resume(): void {
    this.#onRoom?.();
  }

  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    // Not awaited: it settles only after a pending `next` has.
    void this.#iterator?.return?.().catch(() => undefined);
    this.#onRoom?.();
  }
}

/**
 * The other way round: what a source sends, one message each time that it is requested. Throws what the stream ended with, or the
 * reason of `signal` as soon as that aborts.
 */
export async function* drawn<T>(
  open: (sink: StreamSink<T>) => StreamSource,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  const waiting: T[] = [];
  let ended: { readonly error?: unknown } | undefined;
  let wake: (() => void) | undefined;
  const source = open({
    send: (message) => {
      if (ended) return true;
      waiting.push(message);
      wake?.();
      return false;
    },
    end: (error) => {
      if (ended) return;
      ended = error === undefined ? {} : { error };
      // A caller that may not go on gets nothing of what waits.
      if (error !== undefined) waiting.length = 0;
      wake?.();
    },
  });
  const abort = (): void => {
    source.cancel();
    wake?.();
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const [message] = waiting.splice(0, 1);
      if (message !== undefined) {
        yield message;
      } else if (ended) {
        if ("error" in ended) throw ended.error;
        return;
      } else {
        source.resume();
        if (waiting.length > 0 || ended) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener("abort", abort);
    source.cancel();
  }
}
