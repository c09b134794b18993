import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Principal } from "../../model/access/principal.js";
import type { CallerTrace } from "../../model/tracing.js";
import type { Timer } from "../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import { frameOf, sharedFrame } from "../../service/messages/shared_message.js";
import type { CallContext, CallMetadata } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { breakStream, type ReadDeadline, resetStream } from "../listen/stream_watchdogs.js";
import { type Frame, headersOf, metadataOf, RequestReader, RequestStream, trailersOf } from "./grpc_wire.js";

const callKey = Symbol("call");
type GrpcStream = ServerHttp2Stream & { [callKey]?: GrpcCall };

const withTrailers = { waitForTrailers: true, sendDate: false } as const;
const ended = { endStream: true, sendDate: false } as const;

/** Why the signal of a call aborts, made once: a `DOMException` with its stack costs much, and no call has anything to add to it. */
const leftReason = new DOMException("the caller left", "AbortError");

export interface GrpcCallOptions {
  readonly path: string;
  readonly output: DescMessage;
  readonly maxMessageBytes: number;
  /** The one message of a request is there, and the caller sends nothing more. */
  readonly onRequest: (call: GrpcCall, request: Frame) => void;
  /** What was thrown where nobody else catches it; the stream is reset. */
  readonly onBroken: (error: unknown) => void;
  /** The error that a caller gets when a stream ends. */
  readonly toWire: (error: unknown) => WireError;
  /** For clients that do not read; without it they are waited for. */
  readonly readDeadline: ReadDeadline | undefined;
  /** The stream is closed, by either side. */
  readonly onClose: (stream: ServerHttp2Stream) => void;
}

/**
 * One gRPC call on a stream of node:http2, with as little overhead as possible. All calls share their listeners, a signal is made on
 * demand, and a message that many callers get is written without a copy.
 */
export class GrpcCall implements CallContext, StreamSink<Message> {
  principal!: Principal;
  trace: CallerTrace | undefined;
  readonly stream: ServerHttp2Stream;
  /** How compressed messages are compressed. */
  readonly encoding: string | undefined;
  readonly #options: GrpcCallOptions;
  /** Those of the request; let go once the call is open, for a stream may live for days. */
  #headers: IncomingHttpHeaders | undefined;
  #metadata: CallMetadata | undefined;
  /** While the request comes. */
  #reader: RequestReader | undefined;
  #requests: RequestStream | undefined;
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

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: GrpcCallOptions) {
    this.stream = stream;
    this.encoding = headers["grpc-encoding"] as string | undefined;
    this.#headers = headers;
    this.#options = options;
    (stream as GrpcStream)[callKey] = this;
    stream.on("error", ignore);
    stream.on("close", onClose);
  }

  /** Aborts when the caller leaves or its deadline passes. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isGone) this.#controller.abort(leftReason);
    return this.#controller.signal;
  }

  get metadata(): CallMetadata {
    this.#metadata ??= metadataOf(this.#headers ?? {});
    return this.#metadata;
  }

  /** What the caller gets of an error. */
  toWire(error: unknown): WireError {
    return this.#options.toWire(error);
  }

  /** Whether nothing can be sent any more. */
  get isOver(): boolean {
    return this.#isAnswered || this.#isGone || this.stream.destroyed || this.stream.closed;
  }

  /** Ends the call when `timer` fires, unless it has ended. */
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
    this.#headers = undefined;
    if (this.#isGone) source.cancel();
    else if (!this.#isAnswered) this.#source = source;
  }

  /** Reads the one message of the request; before it nothing of it is taken from the connection. */
  readOne(): void {
    const { maxMessageBytes, path } = this.#options;
    this.#reader = new RequestReader(maxMessageBytes, path, this.#requests);
    this.stream.on("data", onData);
    this.stream.on("end", onEnd);
  }

  /** Reads messages as they are requested. */
  readAll(decode: (frame: Frame) => Promise<Message>): AsyncIterable<Message> {
    const requests = new RequestStream({
      decode,
      pause: () => this.stream.pause(),
      resume: () => this.stream.resume(),
    });
    this.#requests = requests;
    this.readOne();
    this.stream.pause();
    return requests;
  }

  /** Sends the one message of a unary answer. */
  answer(message: Message): void {
    if (this.isOver) return;
    const frame = sharedFrame(message) ?? frameOf(this.#options.output, message);
    this.#isAnswered = true;
    this.guard(() => {
      this.#respondOnce();
      this.stream.end(frame);
      this.#startReadDeadline();
    });
  }

  send(message: Message): boolean {
    if (this.isOver) return true;
    const frame = sharedFrame(message) ?? frameOf(this.#options.output, message);
    this.#respondOnce();
    if (this.stream.write(frame)) return true;
    if (!this.#isUnread) {
      this.#isUnread = true;
      this.stream.once("drain", onDrain);
      this.#startReadDeadline();
    }
    return false;
  }

  #startReadDeadline(): void {
    const { readDeadline } = this.#options;
    this.#unread ??= readDeadline?.clock.setTimer(readDeadline.timeoutMs, () => resetStream(this.stream));
  }

  /** The status goes behind what was written, and is waited for as long as a message: its stream has given its place back already. */
  #endStream(): void {
    this.stream.end();
    this.#startReadDeadline();
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
      this.fail(this.toWire(error));
      return;
    }
    this.#isAnswered = true;
    this.#source = undefined;
    this.guard(() => {
      this.#respondOnce();
      this.#endStream();
    });
  }

  fail(error: WireError): void {
    if (this.isOver) return;
    this.#isAnswered = true;
    this.#deadline?.cancel();
    this.guard(() => {
      if (this.#metadata && [...this.#metadata.responseHeader].length > 0) this.#respondOnce();
      if (this.stream.headersSent) {
        this.#status = error;
        this.#endStream();
        return;
      }
      this.stream.respond({ ...headersOf(this.#metadata), ...trailersOf(error, this.#metadata) }, ended);
      this.#startReadDeadline();
      this.#refuseRest();
    });
  }

  #respondOnce(): void {
    if (this.stream.headersSent) return;
    this.stream.respond(headersOf(this.#metadata), withTrailers);
    this.stream.on("wantTrailers", onWantTrailers);
  }

  sendTrailers(): void {
    this.#deadline?.cancel();
    this.stream.sendTrailers(trailersOf(this.#status, this.#metadata));
    if (this.#requests) this.#refuseRest();
  }

  /** What the caller still sends is taken and dropped; the sender of a stream is notified that nobody wants it (RFC 9113 section 8.1). */
  #refuseRest(): void {
    this.stream.resume();
    if (this.#requests && !this.stream.readableEnded)
      setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR));
  }

  receive(chunk: Buffer): void {
    if (!this.#isAnswered) this.#reading((reader) => reader.receive(chunk));
  }

  receiveEnd(): void {
    if (this.isOver) return;
    const request = this.#reading((reader) => reader.end());
    this.#reader = undefined;
    if (request) this.#options.onRequest(this, request);
  }

  /** An error in a stream of messages goes to its reader, which ends the call. */
  #reading<T>(work: (reader: RequestReader) => T): T | undefined {
    try {
      return this.#reader && work(this.#reader);
    } catch (error) {
      this.#reader = undefined;
      if (this.#requests) this.#requests.end(error);
      else this.fail(error as WireError);
      return undefined;
    }
  }

  closed(): void {
    this.#deadline?.cancel();
    this.#unread?.cancel();
    this.#requests?.end(new WireError(codes.cancelled, "the caller left"));
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

function ignore(): void {
  // A stream that fails closes, which reports the failure.
}

/** A listener that all calls share. */
function listener<Args extends unknown[]>(work: (call: GrpcCall, ...args: Args) => void) {
  return function (this: GrpcStream, ...args: Args): void {
    this[callKey]?.guard((call) => work(call, ...args));
  };
}
const onData = listener((call, chunk: Buffer) => call.receive(chunk));
const onEnd = listener((call) => call.receiveEnd());
const onClose = listener((call) => call.closed());
const onDrain = listener((call) => call.drained());
const onWantTrailers = listener((call) => call.sendTrailers());
