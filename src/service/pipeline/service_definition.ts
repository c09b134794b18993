import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageShape,
} from "@bufbuild/protobuf";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import type { BoundMethod, CallContext, MessageSink, RpcAnswer, StreamContext } from "./bound_service.js";
import { validatorOf } from "./message_rules.js";
import { describedRpc, hasWait, type RpcDescription } from "./rpc_access.js";
import type { WireError } from "./wire_error.js";

/** What a service file implements: each RPC of the descriptor, typed. */
export type ServiceImplementation<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => MessageShape<O> | Promise<MessageShape<O>>
    : S["method"][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: StreamContext, sink: StreamSink<MessageShape<O>>) => StreamSource
      : S["method"][K] extends DescMethodBiDiStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            context: StreamContext,
            sink: StreamSink<MessageShape<O>>,
          ) => StreamSource
        : never;
};

/** One RPC as its service implements it: it may throw any error, and its streams too. */
export type DefinedMethod = WithRules<BoundMethod>;

type WithRules<M> = M extends unknown
  ? M & {
      /** Checks the rules declared in the proto. @throws InvalidArgument */
      validate(request: Message): void;
      /** Whether the caller of a unary RPC means to wait: then it has a place among the streams. */
      isWait?(request: Message): boolean;
      /** Absent where the callers are not judged: hubs, of which the listener knows that they are. */
      readonly rpc?: RpcDescription | undefined;
    }
  : never;

/** A service without what happens around its calls, which `CallPipeline` adds. */
export interface ServiceDefinition {
  readonly descriptor: DescService;
  readonly methods: readonly DefinedMethod[];
  /** Turns an error of a unary RPC into an answer, where the protocol wants one. */
  answerError?(error: WireError): Message;
}

/** An implementation whose types are forgotten: the descriptor's order ties both together again. */
type UnaryCall = (request: Message, context: CallContext) => RpcAnswer;
type StreamCall = (request: Message, context: StreamContext, sink: MessageSink) => StreamSource;
type BidiCall = (requests: AsyncIterable<Message>, context: StreamContext, sink: MessageSink) => StreamSource;

export interface DefinitionOptions {
  readonly answerError?: ServiceDefinition["answerError"];
  /** RPCs of a proto that is not ours, by their local names. Those of ours have options. */
  readonly described?: Readonly<Record<string, RpcDescription>>;
}

/** Puts the rules declared in the proto beside every RPC of an implementation. */
export function defineService<S extends DescService>(
  descriptor: S,
  implementation: ServiceImplementation<S>,
  { described = {}, answerError }: DefinitionOptions = {},
): ServiceDefinition {
  const methods = descriptor.methods.map((method): DefinedMethod => {
    const call: unknown = Reflect.get(implementation, method.localName);
    if (typeof call !== "function") throw new Error(`${method.name} is not implemented`);
    const defined = defineMethod(method, call.bind(implementation));
    const rpc = described[method.localName] ?? describedRpc(method);
    return { ...defined, rpc, ...(rpc?.waits === true && { isWait: hasWait }) };
  });
  return { descriptor, methods, ...(answerError && { answerError }) };
}

function defineMethod(method: DescMethod, implementation: unknown): DefinedMethod {
  const validate = validatorOf(method.input);
  switch (method.methodKind) {
    case "unary": {
      const call = implementation as UnaryCall;
      return { kind: "unary", descriptor: method as DescMethodUnary, validate, call };
    }
    case "server_streaming": {
      const open = implementation as StreamCall;
      return { kind: "server_streaming", descriptor: method, validate, open };
    }
    case "bidi_streaming": {
      const bidi = implementation as BidiCall;
      return {
        kind: "bidi_streaming",
        descriptor: method,
        validate,
        open: (requests, context, sink) => bidi(validated(requests, validate), context, sink),
      };
    }
    default:
      throw new Error(`${method.name} has a kind that is not served`);
  }
}

async function* validated(
  requests: AsyncIterable<Message>,
  validate: (request: Message) => void,
): AsyncGenerator<Message> {
  for await (const request of requests) {
    validate(request);
    yield request;
  }
}
