import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { Principal } from "../../model/access/principal.js";
import type { CallerTrace } from "../../model/tracing.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";

/** What a listener knows about a call. */
export interface CallContext {
  readonly principal: Principal;
  /** Aborts when the caller goes away, its deadline passes, or the listener closes. */
  readonly signal: AbortSignal;
  /** The trace of the caller, where it sent one. */
  readonly trace?: CallerTrace | undefined;
}

/** At once where nothing has to be waited for. */
export type Answer = Message | Promise<Message>;

/** One RPC, ready to be bound to an engine. Whatever it throws is a `WireError`. */
export type BoundMethod =
  | {
      readonly kind: "unary";
      readonly descriptor: DescMethod;
      /** Checks the rules declared in the proto, as `call` does first. @throws WireError */
      validate(request: Message): void;
      call(request: Message, context: CallContext): Answer;
      /** Decodes a request that agents repeat; absent where nothing is gained. @throws Error when the bytes are no such message */
      decode?(bytes: Buffer): Message;
      /** The same of a request in JSON; present where `decode` is. @throws Error when the text is no such message */
      decodeJson?(bytes: Buffer): Message;
    }
  | {
      readonly kind: "server_streaming";
      readonly descriptor: DescMethod;
      /** As above. @throws WireError */
      validate(request: Message): void;
      /** Never throws: what goes wrong ends the sink, with a `WireError`. */
      open(request: Message, context: StreamContext, sink: MessageSink): StreamSource;
      /** As above. */
      decode?(bytes: Buffer): Message;
    }
  | {
      /** Served at the `grpc` listener alone. */
      readonly kind: "bidi_streaming";
      readonly descriptor: DescMethod;
      /** As above, of each request. @throws WireError */
      validate(request: Message): void;
      /** As above. Ends by itself soon after `requests` end. */
      open(requests: AsyncIterable<Message>, context: StreamContext, sink: MessageSink): StreamSource;
    };

/** What a listener knows about a stream; that its caller left is told to the source. */
export type StreamContext = Pick<CallContext, "principal" | "trace">;
export type MessageSink = StreamSink<Message>;

export type StreamingMethod = Exclude<BoundMethod, { kind: "unary" }>;

/** How a stream is over: its caller left, or it ended by itself, with an error or without. */
export type StreamOutcome =
  | { readonly cancelled: true }
  | { readonly cancelled: false; readonly error: unknown };

export interface StreamStart {
  /** Undefined where requests are a stream. */
  readonly request: Message | undefined;
  readonly context: StreamContext;
  /** Ends the stream at once, from outside. Nothing that is sent later reaches the caller. */
  readonly cut: (error: unknown) => void;
}

/**
 * Judges a stream before it begins.
 *
 * @returns what is called once when it is over; a promise that rejects with a refusal that has to be put on record first
 * @throws WireError a refusal
 */
export type BeginStream = (start: StreamStart) => ((outcome: StreamOutcome) => void) | Promise<never>;

/** The same RPC with `begin` before each of its streams, and what it answers behind. */
export function wrappedStream(method: StreamingMethod, begin: BeginStream): StreamingMethod {
  if (method.kind === "server_streaming") {
    return {
      ...method,
      open: (request: Message, context: StreamContext, sink: MessageSink) =>
        new WrappedStream(sink).open(begin, request, context, (own) => method.open(request, context, own)),
    };
  }
  return {
    ...method,
    open: (requests: AsyncIterable<Message>, context: StreamContext, sink: MessageSink) =>
      new WrappedStream(sink).open(begin, undefined, context, (own) => method.open(requests, context, own)),
  };
}

/** Stands between a stream and its sink for the end alone: a message goes past all of them, for there are thousands of streams. */
export abstract class EndRelay implements MessageSink {
  protected readonly sink: MessageSink;
  readonly #target: MessageSink;

  constructor(sink: MessageSink) {
    this.sink = sink;
    this.#target = sink instanceof EndRelay ? sink.#target : sink;
  }

  send(message: Message): boolean {
    return this.#target.send(message);
  }

  abstract end(error?: unknown): void;
}

/** It is over once, however many say so; its source is cancelled first, so that it sends nothing more. */
class WrappedStream extends EndRelay implements StreamSource {
  #source: StreamSource | undefined;
  #onOver: ((outcome: StreamOutcome) => void) | undefined;
  #outcome: StreamOutcome | undefined;

  open(
    begin: BeginStream,
    request: Message | undefined,
    context: StreamContext,
    start: (sink: MessageSink) => StreamSource,
  ): this {
    try {
      const begun = begin({ request, context, cut: (error) => this.#cut(error) });
      if (begun instanceof Promise) begun.catch((error: unknown) => this.end(error));
      else this.#begun(begun, start);
    } catch (error) {
      this.end(error);
    }
    return this;
  }

  #begun(onOver: (outcome: StreamOutcome) => void, start: (sink: MessageSink) => StreamSource): void {
    // Cut in the very turn in which it was admitted.
    if (this.#outcome) {
      onOver(this.#outcome);
      return;
    }
    this.#onOver = onOver;
    const source = start(this);
    if (this.#outcome) source.cancel();
    else this.#source = source;
  }

  end(error?: unknown): void {
    if (this.#over({ cancelled: false, error })) this.sink.end(error);
  }

  resume(): void {
    this.#source?.resume();
  }

  cancel(): void {
    const source = this.#source;
    if (this.#over({ cancelled: true })) source?.cancel();
  }

  #cut(error: unknown): void {
    const source = this.#source;
    if (!this.#over({ cancelled: false, error })) return;
    source?.cancel();
    this.sink.end(error);
  }

  #over(outcome: StreamOutcome): boolean {
    if (this.#outcome) return false;
    this.#outcome = outcome;
    this.#source = undefined;
    this.#onOver?.(outcome);
    this.#onOver = undefined;
    return true;
  }
}

/** One service, ready to be bound to an engine. */
export interface BoundService {
  readonly descriptor: DescService;
  readonly methods: readonly BoundMethod[];
}
