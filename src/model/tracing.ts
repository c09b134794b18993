/** W3C Trace Context (https://www.w3.org/TR/trace-context/) as a caller sent it; unchecked. */
export interface CallerTrace {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

/** Under what a credential is used. */
export interface Use {
  /** Of the request, as a proxy shows it. */
  readonly session?: string | undefined;
  /** What let the request through, or refused it. */
  readonly rule?: string | undefined;
  /** A rule in shadow that would have refused it. */
  readonly shadow?: string | undefined;
  /** The principal that agreed. */
  readonly approver?: string | undefined;
  /** Of the caller (W3C Trace Context). */
  readonly traceId?: string | undefined;
}

/** Names by the semantic conventions of OpenTelemetry. Values hold no secrets, no paths and no queries. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>;

/** A piece of work under way. */
export interface Span {
  set(attributes: SpanAttributes): void;
  /** It failed. @param errorType a stable word, as `timeout` or `invalid_grant` */
  fail(errorType: string): void;
}

export interface SpanStart {
  readonly name: string;
  /** `server`: a call that came in; `client`: one that goes out. */
  readonly kind: "internal" | "server" | "client";
  readonly attributes?: SpanAttributes;
  /** Of a caller whose trace this goes on; without it the span is a child of the one around it. */
  readonly caller?: CallerTrace | undefined;
}

/** Shows work as spans of a trace. */
export interface Tracing {
  /**
   * Does the work inside a span, which ends with it: a promise is waited for. What the work throws passes through, and fails a span that
   * has not failed yet. Spans of incoming calls are not failed: a caller's error is not the server's.
   */
  inSpan<T>(start: SpanStart, work: (span: Span) => T): T;
  /** Says more about the span around the work under way. */
  annotate(attributes: SpanAttributes): void;
}

/** The id in a `traceparent`; undefined where it is malformed. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return /^00-(?!0{32})([0-9a-f]{32})-/.exec(traceparent ?? "")?.[1];
}

const silentSpan: Span = { set: () => undefined, fail: () => undefined };

/** Where nobody has asked for traces. */
export const noTracing: Tracing = {
  inSpan: (_start, work) => work(silentSpan),
  annotate: () => undefined,
};
