import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { StreamRegistry } from "../../domain/access/access.js";
import type { Permissions } from "../../model/access/permissions.js";
import { type CallerTrace, noTracing, type Span, type SpanStart, type Tracing } from "../../model/tracing.js";
import type { StreamSource } from "../../runtime/stream_sink.js";
import type {
  BoundMethod,
  BoundService,
  CallContext,
  MessageSink,
  RpcAnswer,
  StreamContext,
} from "./bound_service.js";
import { CallGuard, type Guard } from "./call_guard.js";
import type { CallLimits } from "./call_limits.js";
import { CallStream, type StreamOutcome } from "./call_stream.js";
import { codeOf, toWireError, withProviderName } from "./error_table.js";
import { rpcName } from "./rpc_access.js";
import type { DefinedMethod, ServiceDefinition } from "./service_definition.js";
import { WireError } from "./wire_error.js";

/** Of a server only these are failures; the others are what its callers did (semantic conventions, "gRPC status"). */
const failures: readonly string[] = [
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
];

/** The span of an RPC, on the trace of its caller. Attributes by https://opentelemetry.io/docs/specs/semconv/rpc/. */
function traceStart(descriptor: DescMethod, listener: string, caller: CallerTrace | undefined): SpanStart {
  const method = rpcName(descriptor);
  const system = listener === "grpc" ? "grpc" : "connectrpc";
  return {
    name: method,
    kind: "server",
    attributes: { "rpc.system.name": system, "rpc.method": method },
    caller,
  };
}

/** The same call inside a span. */
export function traceUnary(
  descriptor: DescMethod,
  listener: string,
  tracing: Tracing,
  call: (request: Message, context: CallContext) => Message | Promise<Message>,
): (request: Message, context: CallContext) => Promise<Message> {
  const answered = (span: Span, code: string): void => {
    // gRPC writes its codes in capitals, and Connect has none for success.
    const status = listener === "grpc" ? code.toUpperCase() : code;
    if (status !== "ok") span.set({ "rpc.response.status_code": status });
    if (failures.includes(code)) span.fail(status);
  };
  return (request, context) =>
    tracing.inSpan(traceStart(descriptor, listener, context.trace), async (span) => {
      try {
        const answer = await call(request, context);
        answered(span, "ok");
        return answer;
      } catch (error) {
        answered(span, codeOf(error));
        throw error;
      }
    });
}

type StreamingMethod = DefinedMethod & { kind: "server_streaming" | "bidi_streaming" };

/** What happens around a call because it came in at a listener. */
export interface ListenerCalls {
  readonly listener: string;
  readonly limits: CallLimits;
  /** Notified of each RPC when it is over. `code` is the name of the gRPC status, `ok` for none. */
  readonly metrics: {
    rpcAnswered(answer: { readonly method: string; readonly code: string; readonly listener: string }): void;
  };
  readonly tracing: Tracing;
  /** Notified of each stream that was let in. */
  readonly streams: StreamRegistry;
}

/**
 * All that happens around an RPC, in this order: its span, its count, the limits of its caller, the policy, the rules declared in the
 * proto, the RPC itself. Then comes the error table.
 */
export class CallPipeline {
  /** @param deps.calls left out for calls that another call makes: they are limited, counted and traced as that one */
  constructor(private readonly deps: { readonly guard: Guard; readonly calls?: ListenerCalls }) {}

  bind({ descriptor, methods, answerError }: ServiceDefinition): BoundService {
    return {
      descriptor,
      methods: methods.map((method) =>
        method.kind === "unary" ? this.#unary(method, answerError) : this.#stream(method),
      ),
    };
  }

  #unary(
    method: DefinedMethod & { kind: "unary" },
    answerError: ServiceDefinition["answerError"],
  ): BoundMethod {
    const { validate, isWait, rpc: _, ...served } = method;
    const guard = new CallGuard(method, this.deps.guard);
    const refuse = (error: unknown, request: Message): Message => {
      const wireError = toWireError(withProviderName(error, request));
      if (answerError && wireError instanceof WireError) return answerError(wireError);
      throw wireError;
    };
    const go = (request: Message, context: CallContext, admitted: Permissions): RpcAnswer => {
      validate(request);
      const answer = method.call(request, context);
      // What was answered at once was answered to the caller that was admitted.
      return answer instanceof Promise ? guard.untilEnded(answer, context.principal, admitted) : answer;
    };
    const call = (request: Message, context: CallContext): RpcAnswer => {
      try {
        const admitted = guard.admitCall(request, context);
        const answer =
          admitted instanceof Promise
            ? admitted.then((late) => go(request, context, late))
            : go(request, context, admitted);
        return answer instanceof Promise ? answer.catch((error) => refuse(error, request)) : answer;
      } catch (error) {
        return refuse(error, request);
      }
    };
    return { ...served, call: this.#atListener(method, call, isWait) };
  }

  #atListener(
    { descriptor }: DefinedMethod,
    call: (request: Message, context: CallContext) => RpcAnswer,
    isWait: DefinedMethod["isWait"],
  ): (request: Message, context: CallContext) => RpcAnswer {
    const { calls } = this.deps;
    if (calls === undefined) return call;
    const { limits, metrics, tracing, listener } = calls;
    const name = rpcName(descriptor);
    const succeeded = (answer: Message): Message => {
      metrics.rpcAnswered({ method: name, code: "ok", listener });
      return answer;
    };
    const failed = (error: unknown): never => {
      const wireError = toWireError(error);
      metrics.rpcAnswered({ method: name, code: codeOf(wireError), listener });
      throw wireError;
    };
    const counted = (request: Message, context: CallContext): RpcAnswer => {
      let leave: (() => void) | undefined;
      try {
        if (isWait?.(request)) leave = limits.openStream(context.principal);
        else limits.admit(context.principal);
        const answer = call(request, context);
        if (answer instanceof Promise) return answer.finally(leave).then(succeeded, failed);
        leave?.();
        return succeeded(answer);
      } catch (error) {
        leave?.();
        return failed(error);
      }
    };
    return tracing === noTracing ? counted : traceUnary(descriptor, listener, tracing, counted);
  }

  #stream(method: StreamingMethod): BoundMethod {
    const guard = new CallGuard(method, this.deps.guard);
    const onOver = this.#countStreams(method);
    const rpc = rpcName(method.descriptor);
    const opened = (
      request: Message | undefined,
      context: StreamContext,
      sink: MessageSink,
      start: (own: MessageSink) => StreamSource,
    ): StreamSource => {
      this.#traceStream(method, context);
      return new CallStream(sink, onOver).open(
        (cut) => this.#admitStream({ guard, rpc }, request, context, cut),
        start,
      );
    };
    if (method.kind === "bidi_streaming") {
      return {
        kind: method.kind,
        descriptor: method.descriptor,
        open: (requests, context, sink) =>
          opened(undefined, context, sink, (own) => method.open(requests, context, own)),
      };
    }
    return {
      kind: method.kind,
      descriptor: method.descriptor,
      open: (request, context, sink) =>
        opened(request, context, sink, (own) => {
          method.validate(request);
          return method.open(request, context, own);
        }),
    };
  }

  /** A stream counts as one call when it opens, and has a place among the streams until it is over. */
  #admitStream(
    { guard, rpc }: { readonly guard: CallGuard; readonly rpc: string },
    request: Message | undefined,
    context: StreamContext,
    cut: (error: unknown) => void,
  ): (() => void) | Promise<never> {
    const { principal } = context;
    const { calls } = this.deps;
    const leave = calls?.limits.openStream(principal);
    try {
      const admitted = guard.admit(request, context);
      if (admitted instanceof Promise) return leave ? admitted.finally(leave) : admitted;
      const release = guard.hold(principal, admitted, cut);
      const closed = calls?.streams.opened({ principal, rpc, listener: calls.listener });
      return () => {
        release();
        closed?.();
        leave?.();
      };
    } catch (error) {
      leave?.();
      throw error;
    }
  }

  #countStreams({ descriptor }: DefinedMethod): (outcome: StreamOutcome) => void {
    const { calls } = this.deps;
    if (calls === undefined) return () => undefined;
    const name = rpcName(descriptor);
    return (outcome) => {
      const code = codeOfStream(outcome);
      calls.metrics.rpcAnswered({ method: name, code, listener: calls.listener });
    };
  }

  /** A stream may stay open for days: its span says that it was opened. */
  #traceStream({ descriptor }: DefinedMethod, { trace }: StreamContext): void {
    const { calls } = this.deps;
    if (calls === undefined || calls.tracing === noTracing) return;
    calls.tracing.inSpan(traceStart(descriptor, calls.listener, trace), () => undefined);
  }
}

function codeOfStream(outcome: StreamOutcome): string {
  if (outcome.cancelled) return "cancelled";
  return outcome.error === undefined ? "ok" : codeOf(outcome.error);
}
