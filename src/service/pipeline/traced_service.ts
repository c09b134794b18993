import type { Message } from "@bufbuild/protobuf";
import type { Span, SpanStart, Tracing } from "../../model/tracing.js";
import { type BoundMethod, type BoundService, type CallContext, wrappedStream } from "./bound_service.js";
import { codeOf } from "./counted_service.js";
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

/**
 * The same service, each of its RPCs a span that goes on the trace of its caller; of a stream, which may stay open for days, only that it
 * was opened. Attributes by https://opentelemetry.io/docs/specs/semconv/rpc/.
 */
export function tracedService(
  service: BoundService,
  listener: "grpc" | "http",
  tracing: Tracing,
): BoundService {
  return {
    descriptor: service.descriptor,
    methods: service.methods.map((method) => traced(method, listener, tracing)),
  };
}

function traced(method: BoundMethod, listener: "grpc" | "http", tracing: Tracing): BoundMethod {
  const { parent, name } = method.descriptor;
  const system = listener === "grpc" ? "grpc" : "connect_rpc";
  const start = ({ trace }: Pick<CallContext, "trace">): SpanStart => ({
    name: `${parent.typeName}/${name}`,
    kind: "server",
    attributes: { "rpc.system": system, "rpc.service": parent.typeName, "rpc.method": name },
    caller: trace,
  });
  const answered = (span: Span, code: string): void => {
    if (listener === "grpc") span.set({ "rpc.grpc.status_code": numberOf(code) });
    else if (code !== "ok") span.set({ "rpc.connect_rpc.error_code": code });
    if (failures.includes(code)) span.fail(code);
  };
  if (method.kind === "unary") {
    return {
      ...method,
      call: (request: Message, context: CallContext) =>
        tracing.inSpan(start(context), async (span) => {
          try {
            const answer = await method.call(request, context);
            answered(span, "ok");
            return answer;
          } catch (error) {
            answered(span, codeOf(error));
            throw error;
          }
        }),
    };
  }
  return wrappedStream(method, ({ context }) => {
    tracing.inSpan(start(context), () => undefined);
    return () => undefined;
  });
}

function numberOf(code: string): number {
  return code === "ok" ? 0 : (codes[code as keyof typeof codes] ?? codes.unknown);
}
