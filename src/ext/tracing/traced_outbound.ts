import type { Span, Tracing } from "../../model/model.js";
import { OutboundError, type OutboundFetch } from "../../outbound/outbound.js";

/**
 * Each request to a provider as a span, by https://opentelemetry.io/docs/specs/semconv/http/http-spans/. `url.full` is left out, since
 * paths and queries of providers carry secrets. No trace header goes to the provider: it is a third party.
 */
export function tracedOutbound(outbound: OutboundFetch, tracing: Tracing): OutboundFetch {
  return (url, request) => {
    const { method } = request;
    const attributes = { "http.request.method": method, ...serverOf(url) };
    return tracing.inSpan({ name: method, kind: "client", attributes }, async (span) => {
      try {
        const response = await outbound(url, request);
        answered(span, response.status);
        return response;
      } catch (error) {
        if (error instanceof OutboundError) {
          if (error.httpStatus !== undefined) answered(span, error.httpStatus);
          span.fail(error.code ?? error.reason);
        }
        throw error;
      }
    });
  };
}

function answered(span: Span, status: number): void {
  span.set({ "http.response.status_code": status });
  if (status >= 400) span.fail(`${status}`);
}

function serverOf(text: string): Record<string, string | number> {
  if (!URL.canParse(text)) return {};
  const { protocol, hostname, port } = new URL(text);
  const isPlain = protocol === "http:";
  return {
    "url.scheme": protocol.slice(0, -1),
    "server.address": hostname,
    "server.port": port === "" ? (isPlain ? 80 : 443) : Number(port),
  };
}
