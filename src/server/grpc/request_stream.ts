import type { Message } from "@bufbuild/protobuf";

/** One message as it came. */
export interface Frame {
  readonly isCompressed: boolean;
  readonly bytes: Buffer;
}

export interface RequestStreamOptions {
  decode(frame: Frame): Promise<Message>;
  /** No more is taken from the connection than what is asked for. */
  pause(): void;
  resume(): void;
}

/** The messages of a call that its caller goes on sending, for one reader. */
export class RequestStream implements AsyncIterable<Message> {
  readonly #waiting: Frame[] = [];
  #ended: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(private readonly options: RequestStreamOptions) {}

  push(frame: Frame): void {
    this.#waiting.push(frame);
    this.options.pause();
    this.#wake?.();
  }

  /** @param error what the reader gets, behind the messages that are there */
  end(error?: unknown): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    for (;;) {
      const frame = this.#waiting.shift();
      if (frame) yield await this.options.decode(frame);
      else if (this.#ended) {
        if ("error" in this.#ended) throw this.#ended.error;
        return;
      } else {
        const woken = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.options.resume();
        await woken;
      }
    }
  }
}
