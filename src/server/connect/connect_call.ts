import type { Message, Registry } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Principal } from "../../model/access/principal.js";
import { InvalidArgument } from "../../model/errors.js";
import type { CallerTrace } from "../../model/tracing.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import type { BoundMethod, CallContext, CallMetadata } from "../../service/pipeline/bound_service.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { rpcName } from "../../service/pipeline/rpc_access.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { callerTrace } from "../callers/request_headers.js";
import { decoded, type Frame, metadataOf, RequestReader, RequestStream } from "../grpc/grpc_wire.js";
import { queryOf, type Request, type Response, readBody } from "../listen/http_message.js";
import { answeredError, type OnUnexpected } from "../listen/listener.js";
import { messageTooLarge } from "../listen/listener_limits.js";
import { type ReadDeadline, resetResponse } from "../listen/stream_watchdogs.js";
import { MalformedJson, messageFromJson } from "./json_request.js";
import {
  answerMessage,
  begin,
  envelopeOf,
  finish,
  type Protocol,
  refuseCompression,
  timeoutMsOf,
} from "./protocols.js";

/** What all calls of a listener share. */
export interface ConnectCallDeps {
  /** What an `Any` in JSON may hold. */
  readonly registry: Registry;
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  /** For clients that do not read; without it they are waited for. */
  readonly readDeadline: ReadDeadline | undefined;
  readonly onUnexpected: OnUnexpected;
}

export interface ConnectCallRequest {
  readonly method: BoundMethod;
  readonly protocol: Protocol;
  readonly principal: Principal;
  readonly request: Request;
  readonly response: Response;
}

/** Why the signal of a call aborts. */
const leftReason = new DOMException("the caller left", "AbortError");

/** Starts one call over a request of HTTP, by a caller who was let in. What it answers or fails with, it writes itself; it never throws. */
export function serveCall(call: ConnectCallRequest, deps: ConnectCallDeps): void {
  new ConnectCall(call, deps).run();
}

class ConnectCall implements CallContext, StreamSink<Message> {
  readonly principal: Principal;
  readonly trace: CallerTrace | undefined;
  readonly metadata: CallMetadata;
  readonly #call: ConnectCallRequest;
  readonly #deps: ConnectCallDeps;
  readonly #left = new AbortController();
  #deadline: Timer | undefined;
  /** Runs while a stream waits for its reader. */
  #unread: Timer | undefined;
  #source: StreamSource | undefined;
  #requests: RequestStream | undefined;
  #isUnread = false;
  #isAnswered = false;
  #isClosed = false;

  constructor(call: ConnectCallRequest, deps: ConnectCallDeps) {
    const { headers, method } = call.request;
    this.#call = call;
    this.#deps = deps;
    this.principal = call.principal;
    this.trace = callerTrace(headers["traceparent"], headers["tracestate"]);
    const requestMethod = { requestMethod: method };
    this.metadata = { ...metadataOf(headers), ...requestMethod };
  }

  get signal(): AbortSignal {
    return this.#left.signal;
  }

  run(): void {
    const { request, response } = this.#call;
    request.on("error", ignore);
    response.on("error", ignore);
    response.once("close", () => this.#closed());
    this.#guard(() => {
      const { protocol } = this.#call;
      refuseCompression(protocol, this.metadata);
      const timeoutMs = timeoutMsOf(protocol, request.headers);
      if (timeoutMs !== undefined) this.#startDeadline(timeoutMs);
      this.#read();
    });
  }

  send(message: Message): boolean {
    if (this.#isOver) return true;
    const { response, protocol, method } = this.#call;
    begin(response, protocol, this.metadata);
    const frame = envelopeOf(protocol, method.descriptor, message, this.#deps.registry);
    if (write(response, frame)) return true;
    if (!this.#isUnread) {
      this.#isUnread = true;
      response.once("drain", () => this.#drained());
      this.#startReadDeadline();
    }
    return false;
  }

  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#isAnswered = true;
    this.#deadline?.cancel();
    // An answer that was given whole is looked after with all others.
    this.#unread?.cancel();
    this.#source = undefined;
    const wireError = error === undefined ? undefined : this.#toWire(error);
    this.#guard(() => finish(this.#call.response, this.#call.protocol, wireError, this.metadata));
  }

  /** Whether nothing can be sent any more. */
  get #isOver(): boolean {
    const { response } = this.#call;
    return this.#isAnswered || this.#isClosed || this.signal.aborted || response.destroyed;
  }

  #startDeadline(timeoutMs: number): void {
    this.#deadline = this.#deps.clock.setTimer(timeoutMs, () => {
      const source = this.#source;
      this.end(new WireError(codes.deadline_exceeded, "Deadline exceeded"));
      source?.cancel();
      this.#left.abort(leftReason);
    });
  }

  #read(): void {
    const { method, protocol } = this.#call;
    if (method.kind === "bidi_streaming") this.#open(method.open(this.#readAll(), this, this));
    else if (protocol.name === "connect") this.#readBody();
    else this.#readFrames((frame) => this.#onMessage(frame));
  }

  /** A unary call of Connect: the body, or a part of the query, is the message. */
  #readBody(): void {
    const { request } = this.#call;
    const { maxMessageBytes } = this.#deps;
    const query = request.method === "GET" ? queryOf(request) : undefined;
    if (query) {
      this.#onMessage({ isCompressed: false, bytes: messageOfQuery(query) });
      return;
    }
    readBody(request, maxMessageBytes)
      .then((bytes) => {
        if (bytes === "too_large") this.end(messageTooLarge(maxMessageBytes));
        else if (bytes !== "aborted") this.#onMessage({ isCompressed: false, bytes });
      })
      .catch((error: unknown) => this.end(error));
  }

  /** Messages with their prefixes. @param onOne takes the one message of the request, where it has one */
  #readFrames(onOne?: (frame: Frame) => void): void {
    const { request, method } = this.#call;
    const reader = new RequestReader(
      this.#deps.maxMessageBytes,
      `/${rpcName(method.descriptor)}`,
      this.#requests,
    );
    let isOver = false;
    const reading = (work: () => void): void => {
      if (isOver) return;
      try {
        work();
      } catch (error) {
        isOver = true;
        if (this.#requests) this.#requests.end(error);
        else this.end(error);
      }
    };
    request.on("data", (chunk: Buffer) => reading(() => reader.receive(chunk)));
    request.once("end", () =>
      reading(() => {
        const frame = reader.end();
        if (frame) onOne?.(frame);
      }),
    );
  }

  #readAll(): AsyncIterable<Message> {
    const { request } = this.#call;
    const requests = new RequestStream({
      decode: async (frame) => this.#decode(frame),
      pause: () => void request.pause(),
      resume: () => void request.resume(),
    });
    this.#requests = requests;
    this.#readFrames();
    request.pause();
    return requests;
  }

  #onMessage(frame: Frame): void {
    if (this.#isOver) return;
    const { method } = this.#call;
    this.#guard(() => {
      const message = this.#decode(frame);
      if (method.kind === "server_streaming") this.#open(method.open(message, this, this));
      if (method.kind !== "unary") return;
      const answer = method.call(message, this);
      if (!(answer instanceof Promise)) this.#answer(answer);
      else
        answer.then(
          (late) => this.#guard(() => this.#answer(late)),
          (error: unknown) => this.end(error),
        );
    });
  }

  /** @throws WireError */
  #decode({ isCompressed, bytes }: Frame): Message {
    const { method, protocol } = this.#call;
    const { input } = method.descriptor;
    if (isCompressed)
      throw new WireError(codes.internal, "a message has flags that no message of a caller has");
    try {
      if (protocol.isJson) return messageFromJson(input, bytes, this.#deps.registry);
    } catch (error) {
      if (error instanceof InvalidArgument) throw toWireError(error);
      if (error instanceof MalformedJson) throw new WireError(codes.invalid_argument, error.message);
      throw error;
    }
    return decoded(method, bytes);
  }

  #answer(message: Message): void {
    if (this.#isOver) return;
    const { response, protocol, method } = this.#call;
    if (protocol.name !== "connect") {
      this.send(message);
      this.end();
      return;
    }
    const { registry } = this.#deps;
    answerMessage(response, protocol, method.descriptor, message, { registry, metadata: this.metadata });
    this.#isAnswered = true;
    this.#deadline?.cancel();
  }

  /** What answers the call. It is cancelled when the caller has left or its deadline has passed, at once when it has already. */
  #open(source: StreamSource): void {
    if (this.signal.aborted) source.cancel();
    else if (!this.#isAnswered) this.#source = source;
  }

  #startReadDeadline(): void {
    const { readDeadline } = this.#deps;
    this.#unread = readDeadline?.clock.setTimer(readDeadline.timeoutMs, () =>
      resetResponse(this.#call.response),
    );
  }

  #drained(): void {
    this.#unread?.cancel();
    this.#isUnread = false;
    this.#source?.resume();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#deadline?.cancel();
    this.#unread?.cancel();
    this.#requests?.end(new WireError(codes.cancelled, "the caller left"));
    const source = this.#source;
    this.#source = undefined;
    if (!this.#isAnswered || source) this.#left.abort(leftReason);
    source?.cancel();
  }

  #toWire(error: unknown): WireError {
    const { method } = this.#call;
    return answeredError(error, rpcName(method.descriptor), this.#deps.onUnexpected);
  }

  /** What cannot be answered is destroyed: what left here would end the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!this.#isAnswered) this.end(error);
      else {
        this.#toWire(error);
        this.#call.response.destroy();
      }
    }
  }
}

function ignore(): void {
  // A request or an answer that fails closes, which ends the call.
}

/** @throws WireError */
function messageOfQuery(query: URLSearchParams): Buffer {
  if (query.has("compression") && query.get("compression") !== "identity")
    throw new WireError(codes.unimplemented, "messages may be sent without compression alone");
  const message = query.get("message") ?? "";
  if (query.get("base64") !== "1") return Buffer.from(message);
  try {
    return Buffer.from(base64Decode(message));
  } catch {
    throw new WireError(codes.invalid_argument, "the message is not base64");
  }
}

/** Both generations of HTTP take it, which their types do not say together. */
function write(response: NodeJS.WritableStream, bytes: Uint8Array): boolean {
  return response.write(bytes);
}
