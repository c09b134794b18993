import type {
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageShape,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator } from "@bufbuild/protovalidate";
import { InvalidArgument } from "../../model/errors.js";
import { endedSource, type StreamSink, type StreamSource } from "../../runtime/stream_sink.js";
import {
  type Answer,
  type BoundMethod,
  type BoundService,
  type CallContext,
  EndRelay,
  type MessageSink,
  type StreamContext,
} from "./bound_service.js";
import { toWireError } from "./error_table.js";
import { KnownRequests } from "./known_requests.js";
import { malformedFields } from "./well_formed.js";

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

/** What a method looks like once its types are forgotten: the descriptor's order ties both together again. */
type UnaryCall = (request: Message, context: CallContext) => Answer;
type StreamCall = (request: Message, context: StreamContext, sink: MessageSink) => StreamSource;
type BidiCall = (requests: AsyncIterable<Message>, context: StreamContext, sink: MessageSink) => StreamSource;

export interface BindOptions {
  /** RPCs that agents ask the same over and over, by their local names; their requests hold no secret. */
  readonly repeated?: readonly string[];
}

/** Puts the rules declared in the proto in front of every RPC, and the error table behind it. */
export function bindService<S extends DescService>(
  descriptor: S,
  implementation: ServiceImplementation<S>,
  { repeated = [] }: BindOptions = {},
): BoundService {
  // Made for the first call of the service: a daemon whom nobody asks about its key ring needs none for it.
  let validator: Validator | undefined;
  const calls = implementation as Readonly<Record<string, unknown>>;
  const methods = descriptor.methods.map((method): BoundMethod => {
    const call = calls[method.localName];
    const known = repeated.includes(method.localName) ? new KnownRequests(method.input) : undefined;
    const decoding = known && { decode: (bytes: Buffer) => known.decode(bytes) };
    const validate = (request: Message): void => {
      if (known?.isValid(request)) return;
      try {
        validator ??= createValidator();
        refuseInvalid(validator, method.input, request);
        known?.passed(request);
      } catch (error) {
        throw toWireError(error);
      }
    };
    if (method.methodKind === "unary") {
      const unary = call as UnaryCall;
      return {
        kind: "unary",
        descriptor: method,
        validate,
        ...(known && {
          decode: (bytes: Buffer) => known.decode(bytes),
          decodeJson: (bytes: Buffer) => known.decodeJson(bytes),
        }),
        call: (request, context) => {
          try {
            validate(request);
            const answer = unary(request, context);
            return answer instanceof Promise ? answer.catch(rethrow) : answer;
          } catch (error) {
            throw toWireError(error);
          }
        },
      };
    }
    if (method.methodKind === "bidi_streaming") {
      const bidi = call as BidiCall;
      return {
        kind: "bidi_streaming",
        descriptor: method,
        validate,
        open: (requests, context, sink) =>
          bidi(validated(requests, validate), context, new TranslatingSink(sink)),
      };
    }
    if (method.methodKind !== "server_streaming")
      throw new Error(`${method.name} has a kind that is not bound`);
    const stream = call as StreamCall;
    return {
      kind: "server_streaming",
      descriptor: method,
      validate,
      ...decoding,
      open: (request, context, sink) => {
        try {
          validate(request);
          return stream(request, context, new TranslatingSink(sink));
        } catch (error) {
          sink.end(toWireError(error));
          return endedSource;
        }
      },
    };
  });
  return { descriptor, methods };
}

/** Turns what a stream ends with into what its caller is told. */
class TranslatingSink extends EndRelay {
  end(error?: unknown): void {
    this.sink.end(error === undefined ? undefined : toWireError(error));
  }
}

function rethrow(error: unknown): never {
  throw toWireError(error);
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

function refuseInvalid(
  validator: Validator,
  descriptor: Parameters<Validator["validate"]>[0],
  request: Message,
): void {
  const malformed = malformedFields(descriptor, request);
  if (malformed.length > 0) throw new InvalidArgument(malformed);
  const result = validator.validate(descriptor, request);
  if (result.kind === "error") throw result.error;
  if (result.kind === "valid") return;
  throw new InvalidArgument(
    result.violations.map((violation) => ({
      field: violation.field.length === 0 ? descriptor.name : pathToString(violation.field),
      description: violation.message,
    })),
  );
}
