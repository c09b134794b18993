import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { Principal } from "../model/principal.js";

/** What a door knows about a call. */
export interface CallContext {
  readonly principal: Principal;
  /** Aborts when the caller goes away, its deadline passes, or the door closes. */
  readonly signal: AbortSignal;
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
      /** Ends by itself soon after `context.signal` aborts. */
      call(request: Message, context: CallContext): AsyncIterable<Message>;
    }
  | {
      /** Served at the `grpc` door alone. */
      readonly kind: "bidi_streaming";
      readonly descriptor: DescMethod;
      /** As above, of each request. @throws WireError */
      validate(request: Message): void;
      /** Ends by itself soon after `context.signal` aborts, or `requests` end. */
      call(requests: AsyncIterable<Message>, context: CallContext): AsyncIterable<Message>;
    };

export type StreamingMethod = Exclude<BoundMethod, { kind: "unary" }>;

/** One call of a streaming RPC that is ready to start. */
export interface StreamCall {
  /** Undefined where requests are a stream. */
  readonly request: Message | undefined;
  readonly context: CallContext;
  /** Starts it, with a context that may be narrower than that of the caller. */
  start(context: CallContext): AsyncIterable<Message>;
}

/** The same RPC with `wrap` around each of its calls. */
export function wrappedStream(
  method: StreamingMethod,
  wrap: (call: StreamCall) => AsyncIterable<Message>,
): StreamingMethod {
  if (method.kind === "server_streaming") {
    return {
      ...method,
      call: (request: Message, context: CallContext) =>
        wrap({ request, context, start: (narrower) => method.call(request, narrower) }),
    };
  }
  return {
    ...method,
    call: (requests: AsyncIterable<Message>, context: CallContext) =>
      wrap({ request: undefined, context, start: (narrower) => method.call(requests, narrower) }),
  };
}

/** One service, ready to be bound to an engine. */
export interface BoundService {
  readonly descriptor: DescService;
  readonly methods: readonly BoundMethod[];
}
