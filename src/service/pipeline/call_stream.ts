import type { Message } from "@bufbuild/protobuf";
import type { StreamSource } from "../../runtime/stream_sink.js";
import type { MessageSink } from "./bound_service.js";
import { toWireError } from "./error_table.js";

/** How a stream is over: its caller left, or it ended by itself, with an error or without. */
export type StreamOutcome =
  | { readonly cancelled: true }
  | { readonly cancelled: false; readonly error: unknown };

/**
 * Stands between a stream and its sink, and turns the end of the stream into what its caller is sent. It ends once, however often it is
 * ended. Its source is canceled first, so that it sends nothing more.
 */
export class CallStream implements MessageSink, StreamSource {
  readonly #sink: MessageSink;
  readonly #onOver: (outcome: StreamOutcome) => void;
  #release: (() => void) | undefined;
  #source: StreamSource | undefined;
  #isOver = false;

  /** @param onOver called once */
  constructor(sink: MessageSink, onOver: (outcome: StreamOutcome) => void) {
    this.#sink = sink;
    this.#onOver = onOver;
  }

  /**
   * @param admit judges the stream before it begins; `cut` ends it at once, from outside. Returns what is called when the stream is
   * over, or a promise that rejects with a refusal that has to be put on record first
   */
  open(
    admit: (cut: (error: unknown) => void) => (() => void) | Promise<never>,
    start: (sink: MessageSink) => StreamSource,
  ): this {
    try {
      const admitted = admit((error) => this.#cut(error));
      if (admitted instanceof Promise) admitted.catch((error: unknown) => this.end(error));
      else this.#begin(admitted, start);
    } catch (error) {
      this.end(error);
    }
    return this;
  }

  #begin(release: () => void, start: (sink: MessageSink) => StreamSource): void {
    // Cut in the very turn in which it was admitted.
    if (this.#isOver) {
      release();
      return;
    }
    this.#release = release;
    const source = start(this);
    if (this.#isOver) source.cancel();
    else this.#source = source;
  }

  send(message: Message): boolean {
    return this.#sink.send(message);
  }

  end(error?: unknown): void {
    const wireError = error === undefined ? undefined : toWireError(error);
    if (this.#over({ cancelled: false, error: wireError })) this.#sink.end(wireError);
  }

  resume(): void {
    this.#source?.resume();
  }

  cancel(): void {
    const source = this.#source;
    if (this.#over({ cancelled: true })) source?.cancel();
  }

  #cut(error: unknown): void {
    this.#source?.cancel();
    this.end(error);
  }

  #over(outcome: StreamOutcome): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#source = undefined;
    this.#release?.();
    this.#release = undefined;
    this.#onOver(outcome);
    return true;
  }
}
