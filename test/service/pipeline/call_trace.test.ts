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

test.each([
  ["grpc", undefined, { "rpc.system.name": "grpc", "rpc.response.status_code": "OK" }],
  [
    "grpc",
    codes.failed_precondition,
    { "rpc.system.name": "grpc", "rpc.response.status_code": "FAILED_PRECONDITION" },
  ],
  [
    "grpc",
    codes.unavailable,
    {
      "rpc.system.name": "grpc",
      "rpc.response.status_code": "UNAVAILABLE",
      "error.type": "UNAVAILABLE",
    },
  ],
  ["http", undefined, { "rpc.system.name": "connectrpc" }],
  ["http", codes.not_found, { "rpc.system.name": "connectrpc", "rpc.response.status_code": "not_found" }],
] as const)(
  "a call over %s that ends with %s has the current names of OpenTelemetry",
  async (listener, code, attributes) => {
    const span = await spanOf(listener, code === undefined ? undefined : new WireError(code, "x"));
    expect(span).toEqual({ name: rpc, attributes: { "rpc.method": rpc, ...attributes } });
  },
);
