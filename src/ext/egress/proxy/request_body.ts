import type { Readable, Writable } from "node:stream";
import { pump } from "./pump.js";

/** A request whose body is longer is not sent again. */
const keptBytes = 64 * 1024;

/** The body of a request on its way: it streams, and its beginning is kept so that a short one can be sent again. */
export class RequestBody {
  readonly #kept: Buffer[] = [];
  #bytes = 0;
  #isRead = false;
  #hasEnded = false;

  /** @param isEmpty the request has none */
  constructor(
    private readonly source: Readable,
    readonly isEmpty: boolean,
  ) {}

  /** Whether all of it is at hand. */
  get canBeSentAgain(): boolean {
    return this.isEmpty || (this.#hasEnded && this.#bytes <= keptBytes);
  }

  /** The stream at first, what was kept afterwards. @param cutOff called where it breaks off */
  into(sink: Writable, cutOff: () => void): void {
    if (this.isEmpty) return void sink.end();
    if (this.#isRead) return void sink.end(Buffer.concat(this.#kept));
    this.#isRead = true;
    this.source.once("end", () => {
      this.#hasEnded = true;
    });
    this.source.once("close", () => this.#hasEnded || cutOff());
    // A program may send all of it before it reads an answer that came early: the rest goes nowhere.
    sink.once("close", () => this.source.resume());
    pump(this.source, sink, { change: (chunk) => this.#keep(chunk) });
  }

  /** All of it, for a credential that is made of it. @returns undefined when it is longer than `limit` bytes */
  async whole(limit: number): Promise<Buffer | undefined> {
    if (!this.#isRead && !this.isEmpty) {
      this.#isRead = true;
      for await (const chunk of this.source) {
        this.#bytes += (chunk as Buffer).length;
        if (this.#bytes > limit) return undefined;
        this.#kept.push(chunk as Buffer);
      }
      this.#hasEnded = true;
    }
    return Buffer.concat(this.#kept);
  }

  #keep(chunk: Buffer): Buffer {
    this.#bytes += chunk.length;
    if (this.#bytes <= keptBytes) this.#kept.push(chunk);
    else this.#kept.length = 0;
    return chunk;
  }
}
