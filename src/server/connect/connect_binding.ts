import { createRegistry, type Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextKey,
  type ContextValues,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { anyone, type Principal } from "../../model/access/principal.js";
import { drawn, type StreamSink, type StreamSource } from "../../runtime/stream_sink.js";
import type { BoundMethod, BoundService, CallContext } from "../../service/pipeline/bound_service.js";
import { rpcName } from "../../service/pipeline/rpc_access.js";
import { WireError } from "../../service/pipeline/wire_error.js";
import { callerTrace } from "../callers/caller_trace.js";
import type { Response } from "../listen/http_message.js";
import type { OnUnexpected } from "../listen/listener.js";
import { type ListenerLimits, limitsOf } from "../listen/listener_limits.js";
import { type ReadDeadline, resetResponse, untilUnread } from "../listen/unread_stream.js";
import { toConnectError, toWireError } from "./wire_answer.js";

const principalKey: ContextKey<Principal> = createContextKey(anyone, { description: "who acts" });

const responseKey: ContextKey<Response | undefined> = createContextKey<Response | undefined>(undefined, {
  description: "where the answer goes",
});

/**
 * Every method of the services for Connect, gRPC-Web and gRPC, called by the principal of its context, who has been let in. An `Any` in JSON
 * may hold a message of each.
 */
export function routeServices(options: {
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
  readonly bounds?: ListenerLimits | undefined;
}): ConnectRouter["handlers"] {
  const { services, onUnexpected, bounds } = options;
  const limits = limitsOf(bounds);
  const readDeadline = bounds && { clock: bounds.clock, timeoutMs: limits.streamReadTimeoutMs };
  const router = createConnectRouter({
    acceptCompression: [],
    // The library's default is 4 GiB.
    readMaxBytes: limits.maxMessageBytes,
    requireConnectProtocolHeader: false,
    jsonOptions: { registry: createRegistry(...services.map(({ descriptor }) => descriptor.file)) },
  });
  for (const { descriptor, methods } of services) {
    const bound = methods.map((method) => [
      method.descriptor.localName,
      bind(method, onUnexpected, readDeadline),
    ]);
    router.service(descriptor, Object.fromEntries(bound));
  }
  return router.handlers;
}

/** The context of a call. */
export function contextOf(principal: Principal, response: Response): ContextValues {
  return createContextValues().set(principalKey, principal).set(responseKey, response);
}

type Requests = Message & AsyncIterable<Message>;
type Implementation = (
  request: Requests,
  context: HandlerContext,
) => Promise<Message> | AsyncIterable<Message>;

function bind(
  method: BoundMethod,
  onUnexpected: OnUnexpected,
  readDeadline: ReadDeadline | undefined,
): Implementation {
  const answer = (error: unknown, signal: AbortSignal): ConnectError => {
    // The reason of the signal is the library's own: it says whether the caller left or its deadline passed.
    if (signal.aborted && error === signal.reason) return ConnectError.from(error, Code.Canceled);
    return toConnectError(toWireError(error, signal, rpcName(method.descriptor), onUnexpected));
  };
  if (method.kind === "unary") {
    return async (request, context) => {
      const { signal } = context;
      try {
        return await unlessAborted(async () => method.call(request, callContext(context)), signal);
      } catch (error) {
        throw answer(error, signal);
      }
    };
  }
  const open = (request: Requests, call: CallContext, sink: StreamSink<Message>): StreamSource =>
    method.kind === "bidi_streaming"
      ? method.open(received(request), call, sink)
      : method.open(request, call, sink);
  const stream = async function* (request: Requests, context: HandlerContext): AsyncIterable<Message> {
    const { signal, values } = context;
    const response = values.get(responseKey);
    try {
      const messages = drawn<Message>((sink) => open(request, callContext(context), sink), signal);
      yield* untilUnread(messages, readDeadline, () => response && resetResponse(response));
    } catch (error) {
      throw answer(error, signal);
    }
  };
  return method.descriptor.methodKind === "client_streaming"
    ? (requests, context) => onlyOf(stream(requests, context))
    : stream;
}

/** The same, with what the library says of a message that it cannot read. */
async function* received(requests: AsyncIterable<Message>): AsyncGenerator<Message, void> {
  try {
    yield* requests;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    throw new WireError(error.code as number as WireError["code"], error.rawMessage);
  }
}

/** The one answer to a stream of requests. */
async function onlyOf(messages: AsyncIterable<Message>): Promise<Message> {
  let only: Message | undefined;
  for await (const message of messages) only ??= message;
  if (!only) throw new Error("a call was answered without a message");
  return only;
}

function callContext(context: HandlerContext): CallContext {
  const { values, signal, requestHeader } = context;
  const trace = callerTrace(requestHeader.get("traceparent"), requestHeader.get("tracestate"));
  return { principal: values.get(principalKey), signal, trace, metadata: context };
}

/**
 * Starts `work` and settles as it does, or rejects with the signal's reason as soon as it aborts.
 *
 * Every call has promises of its own: a race against one promise per stream would keep a reaction for each message sent.
 */
function unlessAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => reject(signal.reason);
    const forget = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    work().finally(forget).then(resolve, reject);
  });
}
