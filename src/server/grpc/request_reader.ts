import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { messageTooLarge } from "../listen/listener_limits.js";
import type { Frame, RequestStream } from "./request_stream.js";

/** What gRPC puts before a message: whether it is compressed, and its length. */
const prefixBytes = 5;

/** Cuts what comes on a stream into messages. */
class FrameReader {
  /** What came and is in no message yet, and room for more behind it. */
  #received: Buffer | undefined;
  #receivedBytes = 0;

  constructor(private readonly maxMessageBytes: number) {}

  /** Whether nothing is left of what came. */
  get isEmpty(): boolean {
    return this.#receivedBytes === 0;
  }

  /** Room doubles, so that a message in many small pieces costs no more than its bytes. */
  append(chunk: Buffer): void {
    const before = this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    if (this.#received === undefined) {
      this.#received = chunk;
      return;
    }
    if (this.#received.length < this.#receivedBytes) {
      const grown = Buffer.allocUnsafe(2 * this.#receivedBytes);
      this.#received.copy(grown, 0, 0, before);
      this.#received = grown;
    }
    chunk.copy(this.#received, before);
  }

  /**
   * The next message that is there whole. Nothing is written to its bytes afterwards.
   *
   * @throws WireError RESOURCE_EXHAUSTED as soon as the length of a message is there and too long
   */
  next(): Frame | undefined {
    const received = this.#received;
    if (received === undefined || this.#receivedBytes < prefixBytes) return undefined;
    const length = received.readUInt32BE(1);
    if (length > this.maxMessageBytes) throw messageTooLarge(this.maxMessageBytes);
    const end = prefixBytes + length;
    if (this.#receivedBytes < end) return undefined;
    // Without room behind it: what comes next goes into a buffer of its own.
    this.#received = this.#receivedBytes === end ? undefined : received.subarray(end, this.#receivedBytes);
    this.#receivedBytes -= end;
    return { isCompressed: received.readUInt8(0) !== 0, bytes: received.subarray(prefixBytes, end) };
  }
}

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
