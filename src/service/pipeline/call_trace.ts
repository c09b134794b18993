import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { CallerTrace, Span, SpanStart, Tracing } from "../../model/tracing.js";
import type { CallContext } from "./bound_service.js";
import { codeOf } from "./error_table.js";
import { codes } from "./wire_error.js";

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
  listener: "grpc" | "http" | "console",
  caller: CallerTrace | undefined,
): SpanStart {
  const system = listener === "grpc" ? "grpc" : "connect_rpc";
  return {
    name: `${parent.typeName}/${name}`,
    kind: "server",
    attributes: { "rpc.system": system, "rpc.service": parent.typeName, "rpc.method": name },
    caller,
  };
}

/** The same call inside a span. */
export function traceUnary(
  descriptor: DescMethod,
  listener: "grpc" | "http" | "console",
  tracing: Tracing,
  call: (request: Message, context: CallContext) => Message | Promise<Message>,
): (request: Message, context: CallContext) => Promise<Message> {
  const answered = (span: Span, code: string): void => {
    if (listener === "grpc") span.set({ "rpc.grpc.status_code": numberOf(code) });
    else if (code !== "ok") span.set({ "rpc.connect_rpc.error_code": code });
    if (failures.includes(code)) span.fail(code);
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

function numberOf(code: string): number {
  return code === "ok" ? 0 : (codes[code as keyof typeof codes] ?? codes.unknown);
}
