import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { type Frame, FrameReader } from "./frame_reader.js";
import type { RequestStream } from "./request_stream.js";

/** What a caller sends, while it comes: one message, or a stream of them. */
export class RequestReader {
  readonly #frames: FrameReader;
  #one: Frame | undefined;

  /** @param all where messages go when they are a stream */
  constructor(
    maxMessageBytes: number,
    private readonly path: string,
    private readonly all?: RequestStream,
  ) {
    this.#frames = new FrameReader(maxMessageBytes);
  }

  /** @throws WireError for a message that is too long, or a second one where there is one */
  receive(chunk: Buffer): void {
    this.#frames.append(chunk);
    for (let frame = this.#frames.next(); frame; frame = this.#frames.next()) {
      if (this.all) this.all.push(frame);
      else if (this.#one === undefined) this.#one = frame;
      else throw new WireError(codes.unimplemented, `Received a second request message for ${this.path}`);
    }
  }

  /** @returns the one message; undefined where they are a stream. @throws WireError where it is not there whole */
  end(): Frame | undefined {
    if (!this.all && !this.#one)
      throw new WireError(codes.unimplemented, `Received no request message for ${this.path}`);
    if (this.all && !this.#frames.isEmpty) throw new WireError(codes.internal, "a message is not whole");
    this.all?.end();
    return this.#one;
  }
}
