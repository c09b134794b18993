import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { create, fromBinary, type Message } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { encodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import type { BoundMethod, CallMetadata } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { messageTooLarge } from "../listen/listener_limits.js";

const timeoutUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Whether it is a call of gRPC with messages of protobuf. gRPC-Web and gRPC with JSON have other types. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  if (headers[":method"] !== "POST" || type === undefined) return false;
  return (
    type === "application/grpc" ||
    type === "application/grpc+proto" ||
    /^application\/grpc(\+proto)? *;/.test(type)
  );
}

/** `grpc-timeout` in milliseconds; NaN when it is malformed. */
export function timeoutOf(field: string | string[] | undefined): number | undefined {
  if (field === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(field)) ?? [];
  return Number(digits) * (timeoutUnits[unit] ?? Number.NaN);
}

/** How a call of gRPC ends with an error. `encodeURI` throws on half a surrogate pair. */
function grpcStatus({ code, message, details }: WireError): OutgoingHttpHeaders {
  const packed = details.map(({ descriptor, value }) => anyPack(descriptor, value));
  const status = create(StatusSchema, { code, message, details: packed });
  return {
    "grpc-status": code,
    "grpc-message": encodeURI(Buffer.from(message).toString()),
    ...(packed.length > 0 && { "grpc-status-details-bin": encodeBinaryHeader(status, StatusSchema) }),
  };
}

/** Those of a call, its request without the pseudo-header fields of HTTP/2. */
export function metadataOf(fields: IncomingHttpHeaders): CallMetadata {
  const requestHeader = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) requestHeader.append(name, one);
  }
  return { requestHeader, responseHeader: new Headers(), responseTrailer: new Headers() };
}

const headers = { ":status": 200, "content-type": "application/grpc+proto" } as const;
const okTrailers = { "grpc-status": 0 } as const;

/** What an answer begins with. */
export function headersOf(metadata: CallMetadata | undefined): OutgoingHttpHeaders {
  return metadata ? { ...Object.fromEntries(metadata.responseHeader), ...headers } : headers;
}

/** What an answer ends with; without an error it went well. */
export function trailersOf(
  error: WireError | undefined,
  metadata: CallMetadata | undefined,
): OutgoingHttpHeaders {
  const more = metadata && Object.fromEntries(metadata.responseTrailer);
  if (!error) return more ? { ...more, ...okTrailers } : okTrailers;
  return { ...more, ...grpcStatus(error) };
}

/** @throws WireError INVALID_ARGUMENT */
export function decoded(method: BoundMethod, bytes: Buffer): Message {
  const { input } = method.descriptor;
  try {
    return fromBinary(input, bytes);
  } catch {
    throw new WireError(codes.invalid_argument, `the request is no well-formed ${input.typeName}`);
  }
}

/** One message as it came. */
export interface Frame {
  readonly isCompressed: boolean;
  readonly bytes: Buffer;
}

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

export interface RequestStreamOptions {
  decode(frame: Frame): Promise<Message>;
  /** No more is taken from the connection than what is requested. */
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
