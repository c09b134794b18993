import type { ServerHttp2Stream } from "node:http2";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Principal } from "../../model/access/principal.js";
import type { CallerTrace } from "../../model/tracing.js";
import type { Timer } from "../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import { frameOf, sharedFrame } from "../../service/messages/shared_message.js";
import type { CallContext } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { breakStream, type ReadPatience, resetStream } from "../listen/unread_stream.js";
import { trailersOf } from "./grpc_trailers.js";

const callKey = Symbol("call");
type PlainStream = ServerHttp2Stream & { [callKey]?: PlainCall };

/** What gRPC puts before a message: whether it is compressed, and its length. */
const prefixBytes = 5;

const headers = { ":status": 200, "content-type": "application/grpc+proto" } as const;
const withTrailers = { waitForTrailers: true, sendDate: false } as const;
const ended = { endStream: true, sendDate: false } as const;
const okTrailers = { "grpc-status": 0, "grpc-message": "OK" } as const;

/** Why the signal of a call aborts, made once: a `DOMException` with its stack is dear, and no call has anything to add to it. */
const leftReason = new DOMException("the caller left", "AbortError");

export interface PlainCallOptions {
  readonly path: string;
  readonly output: DescMessage;
  readonly maxMessageBytes: number;
  /** The whole request is there. */
  readonly onRequest: (call: PlainCall, message: Buffer) => void;
  /** What was thrown where nobody else catches it; the stream is reset. */
  readonly onBroken: (error: unknown) => void;
  /** What a caller is told of what a stream ended with. */
  readonly toWire: (error: unknown) => WireError;
  /** For clients that do not read; without it they are waited for. */
  readonly patience: ReadPatience | undefined;
  /** The stream is gone, whoever ended it. */
  readonly onClose: (stream: ServerHttp2Stream) => void;
}

/**
 * One gRPC call on a stream of node:http2, with as little around it as it needs: listeners are shared by all calls, a signal is made
 * when somebody asks for one, and a message that many callers get is written as it lies there.
 */
export class PlainCall implements CallContext, StreamSink<Message> {
  principal!: Principal;
  trace: CallerTrace | undefined;
  readonly stream: ServerHttp2Stream;
  readonly #options: PlainCallOptions;
  /** What came, and room for more behind it. */
  #received: Buffer | undefined;
  #receivedBytes = 0;
  #controller: AbortController | undefined;
  #deadline: Timer | undefined;
  #status: WireError | undefined;
  /** The status was sent or is about to be: nothing more may be. */
  #isAnswered = false;
  #isGone = false;
  /** Of a call that is answered by a stream. */
  #source: StreamSource | undefined;
  /** Runs while a stream waits for its reader. */
  #unread: Timer | undefined;
  #isUnread = false;

  constructor(stream: ServerHttp2Stream, options: PlainCallOptions) {
    this.stream = stream;
    this.#options = options;
    (stream as PlainStream)[callKey] = this;
    stream.on("error", ignore);
    stream.on("close", onClose);
  }

  /** Aborts when the caller leaves or its deadline passes. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isGone) this.#controller.abort(leftReason);
    return this.#controller.signal;
  }

  /** Whether nothing can be sent any more. */
  get isOver(): boolean {
    return this.#isAnswered || this.#isGone || this.stream.destroyed || this.stream.closed;
  }

  /** Ends the call when `timer` says so, unless it has ended. */
  startDeadline(setTimer: (onPassed: () => void) => Timer): void {
    this.#deadline = setTimer(() =>
      this.guard(() => {
        if (this.isOver) return;
        this.fail(new WireError(codes.deadline_exceeded, "Deadline exceeded"));
        this.#abort();
      }),
    );
  }

  /** What answers the call. It is cancelled when the caller has left or its deadline has passed, at once when it has already. */
  answeredBy(source: StreamSource): void {
    if (this.#isGone) source.cancel();
    else if (!this.#isAnswered) this.#source = source;
  }

  /** Reads the request; before it nothing of it is taken from the connection. */
  read(): void {
    this.stream.on("data", onData);
    this.stream.on("end", onEnd);
  }

  /** Sends the one message of a unary answer. */
  answer(message: Message): void {
    if (this.isOver) return;
    const frame = sharedFrame(message) ?? frameOf(this.#options.output, message);
    this.#isAnswered = true;
    this.guard(() => {
      this.#respond();
      this.stream.end(frame);
      this.#startPatience();
    });
  }

  send(message: Message): boolean {
    if (this.isOver) return true;
    const frame = sharedFrame(message) ?? frameOf(this.#options.output, message);
    if (!this.stream.headersSent) this.#respond();
    if (this.stream.write(frame)) return true;
    if (!this.#isUnread) this.#awaitReader();
    return false;
  }

  #awaitReader(): void {
    this.#isUnread = true;
    this.stream.once("drain", onDrain);
    this.#startPatience();
  }

  #startPatience(): void {
    const { patience } = this.#options;
    this.#unread ??= patience?.clock.setTimer(patience.timeoutMs, () => resetStream(this.stream));
  }

  /** The status goes behind what was written, and is waited for as long as a message: its stream has given its place back already. */
  #endStream(): void {
    this.stream.end();
    this.#startPatience();
  }

  drained(): void {
    this.#unread?.cancel();
    this.#unread = undefined;
    this.#isUnread = false;
    this.#source?.resume();
  }

  end(error?: unknown): void {
    if (this.isOver) return;
    if (error !== undefined) {
      this.fail(this.#options.toWire(error));
      return;
    }
    this.#isAnswered = true;
    this.#source = undefined;
    this.guard(() => {
      if (!this.stream.headersSent) this.#respond();
      this.#endStream();
    });
  }

  fail(error: WireError): void {
    if (this.isOver) return;
    this.#isAnswered = true;
    this.#deadline?.cancel();
    this.guard(() => {
      if (this.stream.headersSent) {
        this.#status = error;
        this.#endStream();
        return;
      }
      this.stream.respond({ ...headers, ...trailersOf(error) }, ended);
      this.#startPatience();
      // What the caller still sends is taken and dropped.
      this.stream.resume();
    });
  }

  #respond(): void {
    this.stream.respond(headers, withTrailers);
    this.stream.on("wantTrailers", onWantTrailers);
  }

  sendTrailers(): void {
    this.#deadline?.cancel();
    this.stream.sendTrailers(this.#status ? trailersOf(this.#status) : okTrailers);
  }

  receive(chunk: Buffer): void {
    if (this.#isAnswered) return;
    const received = this.#append(chunk);
    let start = 0;
    // One round as a rule: what follows the message is looked at as grpc-js does, a length that is too long before a second message.
    for (let messages = 0; received.length >= start + prefixBytes; messages++) {
      const length = received.readUInt32BE(start + 1);
      if (length > this.#options.maxMessageBytes) {
        const text = `Received message larger than max (${length} vs ${this.#options.maxMessageBytes})`;
        this.fail(new WireError(codes.resource_exhausted, text));
        return;
      }
      start += prefixBytes + length;
      if (messages === 1 && received.length >= start) {
        this.fail(
          new WireError(codes.unimplemented, `Received a second request message for ${this.#options.path}`),
        );
        return;
      }
    }
  }

  /** All that came so far. Its room doubles, so that a message in many small pieces costs no more than its bytes. */
  #append(chunk: Buffer): Buffer {
    const before = this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    if (this.#received === undefined) {
      this.#received = chunk;
      return chunk;
    }
    if (this.#received.length < this.#receivedBytes) {
      const grown = Buffer.allocUnsafe(2 * this.#receivedBytes);
      this.#received.copy(grown, 0, 0, before);
      this.#received = grown;
    }
    chunk.copy(this.#received, before);
    return this.#received.subarray(0, this.#receivedBytes);
  }

  receiveEnd(): void {
    if (this.isOver) return;
    const received = this.#received?.subarray(0, this.#receivedBytes);
    if (received === undefined || received.length < prefixBytes + lengthOf(received)) {
      const text = `Received no request message for ${this.#options.path}`;
      this.fail(new WireError(codes.unimplemented, text));
      return;
    }
    this.#received = undefined;
    this.#options.onRequest(this, received.subarray(prefixBytes, prefixBytes + lengthOf(received)));
  }

  closed(): void {
    this.#deadline?.cancel();
    this.#unread?.cancel();
    if (!this.#isAnswered || this.#controller || this.#source) this.#abort();
    this.#options.onClose(this.stream);
  }

  /** The last catch: what a listener threw would end the process, and what cannot be answered is reset. */
  guard(work: (call: this) => void): void {
    try {
      work(this);
    } catch (error) {
      this.#options.onBroken(error);
      this.#deadline?.cancel();
      breakStream(this.stream);
    }
  }

  #abort(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#controller?.abort(leftReason);
    this.#source?.cancel();
    this.#source = undefined;
  }
}

function lengthOf(received: Buffer): number {
  return received.length < prefixBytes ? 0 : received.readUInt32BE(1);
}

function ignore(): void {
  // A stream that fails closes, which is what tells of it.
}

/** A listener that all calls share. */
function listener<Args extends unknown[]>(work: (call: PlainCall, ...args: Args) => void) {
  return function (this: PlainStream, ...args: Args): void {
    this[callKey]?.guard((call) => work(call, ...args));
  };
}
const onData = listener((call, chunk: Buffer) => call.receive(chunk));
const onEnd = listener((call) => call.receiveEnd());
const onClose = listener((call) => call.closed());
const onDrain = listener((call) => call.drained());
const onWantTrailers = listener((call) => call.sendTrailers());
