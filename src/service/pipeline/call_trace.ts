import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { CallerTrace, Span, SpanStart, Tracing } from "../../model/tracing.js";
import type { CallContext } from "./bound_service.js";
import { codeOf } from "./error_table.js";

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
export function traceStart(
  { parent, name }: DescMethod,
  listener: "grpc" | "http" | "console" | "egress",
  caller: CallerTrace | undefined,
): SpanStart {
  const method = `${parent.typeName}/${name}`;
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
  listener: "grpc" | "http" | "console" | "egress",
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
