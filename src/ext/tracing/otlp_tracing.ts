import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  defaultTextMapGetter,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { setGlobalErrorHandler, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { CallerTrace, Span, SpanAttributes, SpanStart, Tracing } from "../../model/model.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import { atMostEachMinute, type Clock, delay, type Log } from "../../runtime/runtime.js";
import { tracedOutbound } from "./traced_outbound.js";

/** What the receiver gets at the end, beside the 4 s of the drain. */
const flushMs = 500;

const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;

/** The span that the work under way belongs to. */
interface Active {
  readonly context: Context;
  readonly span: OtelSpan;
  /** Work that outlives the span, such as a timer, does not belong to it. */
  ended: boolean;
}

/**
 * Traces to an OTLP receiver, over HTTP with protobuf. Endpoint, headers, certificates, sampler, batches and resource are read by the
 * libraries from the standard `OTEL_*` variables. Loaded only where traces are requested.
 */
export class OtlpTracing implements Tracing {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: Tracer;
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #active = new AsyncLocalStorage<Active>();

  /** @param onExportFailed called for each batch that the receiver did not take; its spans are lost */
  constructor(options: { readonly version: string; readonly onExportFailed: (error: unknown) => void }) {
    const { version, onExportFailed } = options;
    setGlobalErrorHandler(onExportFailed);
    const own = resourceFromAttributes({ "service.name": "nexusd", "service.version": version });
    const resource = defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] }));
    this.#provider = new BasicTracerProvider({
      resource,
      spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
    });
    this.#tracer = this.#provider.getTracer("nexusd", version);
  }

  inSpan<T>({ name, kind, attributes, caller }: SpanStart, work: (span: Span) => T): T {
    const parent = caller ? this.#contextOf(caller) : this.#around();
    const span = this.#tracer.startSpan(name, { kind: kinds[kind], attributes: { ...attributes } }, parent);
    const active = { context: trace.setSpan(parent, span), span, ended: false };
    const presented = new PresentedSpan(span);
    const end = (): void => {
      active.ended = true;
      span.end();
    };
    const failed = (error: unknown): never => {
      if (!presented.isFailed && kind !== "server")
        presented.fail(error instanceof Error ? error.name : "unknown");
      end();
      throw error;
    };
    try {
      const result = this.#active.run(active, () => work(presented));
      if (result instanceof Promise) {
        return result.then((value: unknown) => {
          end();
          return value;
        }, failed) as T;
      }
      end();
      return result;
    } catch (error) {
      return failed(error);
    }
  }

  annotate(attributes: SpanAttributes): void {
    const active = this.#active.getStore();
    if (active && !active.ended) active.span.setAttributes({ ...attributes });
  }

  /** What a line of the log says of the span that it is written in. */
  logFields(): { readonly trace_id?: string; readonly span_id?: string } {
    const active = this.#active.getStore();
    if (!active || active.ended) return {};
    const { traceId, spanId } = active.span.spanContext();
    return { trace_id: traceId, span_id: spanId };
  }

  /** Sends the spans that wait, and stops. */
  async close(): Promise<void> {
    await this.#provider.shutdown();
  }

  #around(): Context {
    const active = this.#active.getStore();
    return active && !active.ended ? active.context : ROOT_CONTEXT;
  }

  /** A malformed `traceparent` begins a new trace, as the specification wants. */
  #contextOf(caller: CallerTrace): Context {
    return this.#propagator.extract(ROOT_CONTEXT, caller, defaultTextMapGetter);
  }
}

class PresentedSpan implements Span {
  isFailed = false;

  constructor(private readonly span: OtelSpan) {}

  set(attributes: SpanAttributes): void {
    this.span.setAttributes({ ...attributes });
  }

  fail(errorType: string): void {
    this.isFailed = true;
    this.span.setAttribute("error.type", errorType);
    this.span.setStatus({ code: SpanStatusCode.ERROR });
  }
}

/** @param receiver for people */
export function openOtlpTracing(
  receiver: string,
  { version, clock, log }: { readonly version: string; readonly clock: Clock; readonly log: Log },
) {
  const report = atMostEachMinute(clock, (reason) => {
    log.warn({ receiver, reason }, "traces were not taken by their receiver: they are lost");
  });
  const tracing = new OtlpTracing({ version, onExportFailed: (error) => report(reasonOf(error)) });
  log.info({ receiver }, "traces go to this receiver");
  return {
    tracing,
    tracedOutbound: (outbound: OutboundFetch) => tracedOutbound(outbound, tracing),
    logFields: () => tracing.logFields(),
    close: () => Promise.race([tracing.close().catch(() => undefined), delay(clock, flushMs)]),
  };
}

/** A word or a status; the text of such errors may hold what the receiver answered. */
function reasonOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = (each as { readonly code?: unknown }).code;
    if (typeof code === "number" || (typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code)))
      return `${code}`;
  }
  return error instanceof Error ? error.name : "unknown";
}
