import type { CallerTrace } from "../../model/tracing.js";

/** The trace that a request belongs to, by its headers of that name; undefined where it says nothing. */
export function callerTrace(traceparent: unknown, tracestate: unknown): CallerTrace | undefined {
  if (typeof traceparent !== "string") return undefined;
  return { traceparent, tracestate: typeof tracestate === "string" ? tracestate : undefined };
}
