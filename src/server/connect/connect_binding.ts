import type { Message } from "@bufbuild/protobuf";
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
  type Interceptor,
} from "@connectrpc/connect";
import type { Principal } from "../../model/access/principal.js";
import { drawn } from "../../runtime/stream_sink.js";
import type { BoundMethod, BoundService, CallContext } from "../../service/pipeline/bound_service.js";
import { WireError } from "../../service/pipeline/wire_error.js";
import { unauthenticatedMessage } from "../callers/api_key.js";
import { callerTrace } from "../callers/caller_trace.js";
import type { Response } from "../listen/http_message.js";
import type { OnUnexpected } from "../listen/listener.js";
import { type ListenerLimits, limitsOf } from "../listen/listener_limits.js";
import { unlessAborted } from "../listen/unless_aborted.js";
import { type ReadPatience, resetResponse, untilUnread } from "../listen/unread_stream.js";
import { methodName, toWireError } from "./wire_answer.js";

const callerKey: ContextKey<Caller> = createContextKey<Caller>(undefined, { description: "who acts" });

const responseKey: ContextKey<Response | undefined> = createContextKey<Response | undefined>(undefined, {
  description: "where the answer goes",
});

/** Every method for Connect, gRPC-Web and gRPC. A call whose context holds no principal is refused in its protocol's own form. */
export function routeServices(
  services: readonly BoundService[],
  onUnexpected: OnUnexpected,
  bounds: ListenerLimits | undefined,
): ConnectRouter["handlers"] {
  const limits = limitsOf(bounds);
  const patience = bounds && { clock: bounds.clock, timeoutMs: limits.streamReadTimeoutMs };
  const router = createConnectRouter({
    acceptCompression: [],
    // The library's default is 4 GiB.
    readMaxBytes: limits.maxMessageBytes,
    requireConnectProtocolHeader: false,
    interceptors: [admit],
  });
  for (const service of services) {
    const methods = service.methods.map((method) => [
      method.descriptor.localName,
      bind(method, onUnexpected, patience),
    ]);
    router.service(service.descriptor, Object.fromEntries(methods));
  }
  return router.handlers;
}

/** Who calls, or why that cannot be told just now. */
export type Caller = Principal | undefined | WireError;

/** The context of a call. */
export function contextOf(caller: Caller, response: Response): ContextValues {
  return createContextValues().set(callerKey, caller).set(responseKey, response);
}

const admit: Interceptor = (next) => (request) => {
  const caller = request.contextValues.get(callerKey);
  if (caller instanceof WireError) throw toConnectError(caller);
  if (caller) return next(request);
  throw new ConnectError(unauthenticatedMessage, Code.Unauthenticated);
};

type Implementation = (
  request: Message,
  context: HandlerContext,
) => Promise<Message> | AsyncIterable<Message>;

function bind(
  method: BoundMethod,
  onUnexpected: OnUnexpected,
  patience: ReadPatience | undefined,
): Implementation {
  const answer = (error: unknown, signal: AbortSignal): ConnectError => {
    // The reason of the signal is the library's own: it says whether the caller left or its deadline passed.
    if (signal.aborted && error === signal.reason) return ConnectError.from(error, Code.Canceled);
    return toConnectError(toWireError(error, signal, methodName(method.descriptor), onUnexpected));
  };
  if (method.kind === "unary") {
    return async (request, { signal, values, requestHeader }) => {
      try {
        return await unlessAborted(
          async () => method.call(request, callContext(values, signal, requestHeader)),
          signal,
        );
      } catch (error) {
        throw answer(error, signal);
      }
    };
  }
  // HTTP/1.1 has no such calls, and those that use them speak gRPC.
  if (method.kind === "bidi_streaming")
    throw new Error(`${method.descriptor.name} is for the grpc listener alone`);
  return async function* (request, { signal, values, requestHeader }) {
    const response = values.get(responseKey);
    try {
      const context = callContext(values, signal, requestHeader);
      const messages = drawn<Message>((sink) => method.open(request, context, sink), signal);
      yield* untilUnread(messages, patience, () => response && resetResponse(response));
    } catch (error) {
      throw answer(error, signal);
    }
  };
}

function callContext(values: ContextValues, signal: AbortSignal, headers: Headers): CallContext {
  const trace = callerTrace(headers.get("traceparent"), headers.get("tracestate"));
  return { principal: principalOf(values), signal, trace };
}

function principalOf(values: ContextValues): Principal {
  const principal = values.get(callerKey);
  if (!principal || principal instanceof WireError)
    throw new Error("a call without a principal got past the interceptor");
  return principal;
}

export function toConnectError(error: WireError): ConnectError {
  const details = error.details.map(({ descriptor, value }) => ({ desc: descriptor, value }));
  return new ConnectError(error.message, error.code as Code, undefined, details);
}
