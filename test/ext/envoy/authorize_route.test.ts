import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { authorizeRoute } from "../../../src/ext/envoy/authorize_route.js";
import {
  Authorization,
  CheckResponseSchema,
} from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { protocols } from "../../server/http_gets.js";
import { openListener } from "../../server/http_listener_fixture.js";

// An exception that nobody catches ends the daemon; here it fails the run, whatever the test expects.

/** The route, before a service that lets this header through. */
async function openAuthorizing(key: string, value: string) {
  const check = create(CheckResponseSchema, {
    status: { code: 0 },
    httpResponse: { case: "okResponse", value: { headers: [{ header: { key, value } }] } },
  });
  const unexpected: unknown[] = [];
  const method = Authorization.method.check;
  const service = {
    descriptor: Authorization,
    methods: [
      { kind: "unary", descriptor: method, validate: () => undefined, call: async () => check },
    ] as const,
  };
  const routes = authorizeRoute({
    services: [service],
    onUnexpected: (error) => void unexpected.push(error),
  });
  return { ...(await openListener({ routes })), unexpected };
}

describe.each(protocols)("%s", (_name, get) => {
  test.each([
    ...[
      ["transfer-encoding", "chunked"],
      ["upgrade", "k"],
      ["connection", "k"],
      ["keep-alive", "k"],
      ["te", "k"],
    ],
    ...[
      ["trailer", "k"],
      ["proxy-connection", "k"],
      ["host", "k"],
      ["content-length", "7"],
      ["expect", "k"],
    ],
    ["x y", "k"],
  ] as [string, string][])("GET /v1/authorize with the header %s is 503", async (key, value) => {
    const { port, unexpected } = await openAuthorizing(key, value);
    const denied =
      '{"error":"unavailable","code":"unavailable","message":"the request cannot be decided just now"}';
    expect(await get(port, "/v1/authorize/a")).toBe(`503 ${denied}`);
    expect(await get(port, "/v1/authorize/a")).toBe(`503 ${denied}`);
    expect(unexpected).toHaveLength(2);
  });
});
