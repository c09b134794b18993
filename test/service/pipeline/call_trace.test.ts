import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { TokenService, TokenServiceGetTokenResponseSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { admin } from "../../../src/model/access/principal.js";
import type { Span, SpanAttributes, SpanStart, Tracing } from "../../../src/model/tracing.js";
import { traceUnary } from "../../../src/service/pipeline/call_pipeline.js";
import { codes, WireError } from "../../../src/service/pipeline/wire_error.js";

/** The span of one GetToken that ends with `error`, as an exporter gets it. */
async function spanOf(listener: "grpc" | "http", error?: WireError) {
  const attributes: SpanAttributes[] = [];
  let name = "";
  const tracing: Tracing = {
    annotate: (more) => attributes.push(more),
    inSpan<T>(start: SpanStart, work: (span: Span) => T): T {
      name = start.name;
      attributes.push(start.attributes ?? {});
      return work({
        set: (more) => attributes.push(more),
        fail: (errorType) => attributes.push({ "error.type": errorType }),
      });
    },
  };
  const method = TokenService.method.getToken;
  const call = traceUnary(method, listener, tracing, () => {
    if (error) throw error;
    return create(TokenServiceGetTokenResponseSchema);
  });
  const context = { principal: admin, signal: new AbortController().signal };
  await Promise.resolve(call(create(method.input), context)).catch(() => undefined);
  return { name, attributes: Object.assign({}, ...attributes) as SpanAttributes };
}

const rpc = "nexus.v1.TokenService/GetToken";

const system = "rpc.system.name";
const status = "rpc.response.status_code";

test.each([
  ["grpc", undefined, { [system]: "grpc", [status]: "OK" }],
  ["grpc", codes.failed_precondition, { [system]: "grpc", [status]: "FAILED_PRECONDITION" }],
  ["grpc", codes.unavailable, { [system]: "grpc", [status]: "UNAVAILABLE", "error.type": "UNAVAILABLE" }],
  ["http", undefined, { [system]: "connectrpc" }],
  ["http", codes.not_found, { [system]: "connectrpc", [status]: "not_found" }],
] as const)(
  "a call over %s that ends with %s has the current names of OpenTelemetry",
  async (listener, code, attributes) => {
    const span = await spanOf(listener, code === undefined ? undefined : new WireError(code, "x"));
    expect(span).toEqual({ name: rpc, attributes: { "rpc.method": rpc, ...attributes } });
  },
);
