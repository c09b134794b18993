import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Principal } from "../model/principal.js";
import type { CallerTrace } from "../model/tracing.js";
import type { Timer } from "../runtime/clock.js";
import type { StreamSink, StreamSource } from "../runtime/stream_sink.js";
import type { BoundMethod, BoundService, StreamContext } from "../service/bound_service.js";
import { sharedBytes } from "../service/shared_message.js";
import { codes, WireError } from "../service/wire_error.js";
import { callerTrace } from "./caller_trace.js";
import type { OnUnexpected } from "./door.js";
import { unlessAborted } from "./unless_aborted.js";
import { endCall, type ReadPatience, resetCall } from "./unread_stream.js";
import { encode, encodeDetails, methodName, neverAborted, toWireError } from "./wire_answer.js";

/** Messages of a stream that wait in memory for their client to read; grpc-js itself would keep 16. */
const maxUnsentMessages = 4;

/** What the calls of one server need to know. */
export interface GrpcBinding {
  /** Who acts; the door has let only known callers through. */
  principalOf(metadata: Metadata): Principal;
  readonly onUnexpected: OnUnexpected;
  /** For clients that do not read; without it they are waited for. */
  readonly patience?: ReadPatience | undefined;
}

/** In place of a message that could not be decoded: grpc-js would answer INTERNAL, as if it were a fault of ours. */
const malformed = Symbol("malformed request");
type Request = Message | typeof malformed;

type Stream = ServerWritableStream<Request, Message> | ServerDuplexStream<Request, Message>;

/** The definition of a service as grpc-js wants it. */
export function defineService(service: BoundService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.descriptor.name, defineMethod(method)]));
}

/** The handlers to the definition of `defineService`. */
export function implementService(service: BoundService, binding: GrpcBinding): UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => [method.descriptor.name, handlerOf(method, binding)]),
  );
}

function handlerOf(method: BoundMethod, binding: GrpcBinding): UntypedHandleCall {
  switch (method.kind) {
    case "unary":
      return handleUnary(method, binding);
    case "server_streaming":
      return handleStream(method, binding);
    case "bidi_streaming":
      return handleBidi(method, binding);
  }
}

function defineMethod({ kind, descriptor }: BoundMethod): MethodDefinition<Request, Message> {
  const { input, output } = descriptor;
  return {
    path: `/${methodName(descriptor)}`,
    originalName: descriptor.localName,
    requestStream: kind === "bidi_streaming",
    responseStream: kind !== "unary",
    requestSerialize: (message) => encode(toBinary(input, decoded(message, descriptor))),
    requestDeserialize: (bytes) => decode(input, bytes),
    responseSerialize: (message) => sharedBytes(message) ?? encode(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

function decode(input: DescMessage, bytes: Uint8Array): Request {
  try {
    return fromBinary(input, bytes);
  } catch {
    return malformed;
  }
}

/** @throws WireError INVALID_ARGUMENT */
function decoded(request: Request, { input }: { readonly input: DescMessage }): Message {
  if (request !== malformed) return request;
  throw new WireError(codes.invalid_argument, `the request is no well-formed ${input.typeName}`);
}

function handleUnary(
  method: BoundMethod & { kind: "unary" },
  binding: GrpcBinding,
): handleUnaryCall<Request, Message> {
  return (call, callback) => {
    const signal = signalOf(call);
    const context = { principal: binding.principalOf(call.metadata), signal, trace: traceOf(call.metadata) };
    unlessAborted(async () => method.call(decoded(call.request, method.descriptor), context), signal)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error, signal, method, binding)),
      )
      .catch((error: unknown) => {
        binding.onUnexpected(error, methodName(method.descriptor));
        resetCall(call);
      });
  };
}

function handleStream(
  method: BoundMethod & { kind: "server_streaming" },
  binding: GrpcBinding,
): handleServerStreamingCall<Request, Message> {
  return (call) => {
    serve(call, method, binding, (context, sink) =>
      method.open(decoded(call.request, method.descriptor), context, sink),
    );
  };
}

function handleBidi(
  method: BoundMethod & { kind: "bidi_streaming" },
  binding: GrpcBinding,
): handleBidiStreamingCall<Request, Message> {
  return (call) => {
    async function* requests(): AsyncGenerator<Message> {
      for await (const request of call) yield decoded(request as Request, method.descriptor);
    }
    serve(call, method, binding, (context, sink) => method.open(requests(), context, sink));
    // Once the status is sent: a client that goes on sending would keep the stream, and a drain would wait for it.
    call.once("cancelled", () => endCall(call));
  };
}

function serve(
  call: Stream,
  method: BoundMethod,
  binding: GrpcBinding,
  open: (context: StreamContext, sink: StreamSink<Message>) => StreamSource,
): void {
  const sink = new CallSink(call, binding.patience, (error) =>
    toStatus(error, neverAborted, method, binding),
  );
  try {
    sink.filledBy(
      open({ principal: binding.principalOf(call.metadata), trace: traceOf(call.metadata) }, sink),
    );
  } catch (error) {
    sink.end(error);
  }
}

/** A call of grpc-js as the sink of a stream. */
class CallSink implements StreamSink<Message> {
  readonly #call: Stream;
  readonly #patience: ReadPatience | undefined;
  readonly #statusOf: (error: unknown) => Partial<StatusObject>;
  #source: StreamSource | undefined;
  #unread: Timer | undefined;
  #isFull = false;
  #isOver = false;

  constructor(
    call: Stream,
    patience: ReadPatience | undefined,
    statusOf: (error: unknown) => Partial<StatusObject>,
  ) {
    this.#call = call;
    this.#patience = patience;
    this.#statusOf = statusOf;
  }

  filledBy(source: StreamSource): void {
    this.#source = source;
    // It comes when the caller resets, its deadline passes or its connection is gone, and after each end.
    if (this.#call.cancelled) this.#cancelled();
    else this.#call.once("cancelled", () => this.#cancelled());
  }

  send(message: Message): boolean {
    if (this.#isOver) return true;
    this.#call.write(message, () => this.#written());
    if (this.#isFull) return false;
    this.#isFull = this.#call.writableLength >= maxUnsentMessages;
    if (this.#isFull) {
      this.#unread = this.#patience?.clock.setTimer(this.#patience.timeoutMs, () => resetCall(this.#call));
    }
    return !this.#isFull;
  }

  #written(): void {
    if (!this.#isFull || this.#call.writableLength >= maxUnsentMessages) return;
    this.#isFull = false;
    this.#unread?.cancel();
    this.#source?.resume();
  }

  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error === undefined) this.#call.end();
    else this.#call.emit("error", this.#statusOf(error));
  }

  #cancelled(): void {
    this.#isOver = true;
    this.#unread?.cancel();
    this.#source?.cancel();
  }
}

function traceOf(metadata: Metadata): CallerTrace | undefined {
  return callerTrace(metadata.get("traceparent")[0], metadata.get("tracestate")[0]);
}

interface Cancellable {
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
}

/** grpc-js emits `cancelled` when the caller resets, its deadline passes or its connection is gone, and after each end. */
function signalOf(call: Cancellable): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once("cancelled", () => controller.abort());
  return controller.signal;
}

function toStatus(
  error: unknown,
  signal: AbortSignal,
  method: BoundMethod,
  binding: GrpcBinding,
): Partial<StatusObject> {
  const wire = toWireError(error, signal, methodName(method.descriptor), binding.onUnexpected);
  return { code: wire.code, details: wellFormed(wire.message), metadata: detailsOf(wire) };
}

/** The trailer that holds the details of an error. */
export function detailsOf(error: WireError): Metadata {
  const metadata = new Metadata();
  const details = encodeDetails(error);
  if (details) metadata.set("grpc-status-details-bin", details);
  return metadata;
}

/** grpc-js writes the message with `encodeURI`, which throws on half a surrogate pair. */
export function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
