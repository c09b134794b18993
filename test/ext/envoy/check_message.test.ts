import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { proxiedRequest } from "../../../src/ext/envoy/check_message.js";
import { CheckRequestSchema } from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";

const bytes = new TextEncoder().encode("hello");

function requestOf(http: object, contextExtensions: Record<string, string> = {}) {
  const attributes = { contextExtensions, request: { http: { method: "POST", path: "/", ...http } } };
  return proxiedRequest(create(CheckRequestSchema, { attributes }));
}

describe("the request that Envoy shows", () => {
  it.each([
    ["the whole one", { rawBody: bytes, headers: { "content-length": "5" } }, "hello"],
    ["one of no given length", { rawBody: bytes }, "hello"],
    ["none to a GET", { method: "GET" }, ""],
    ["none where none is", { headers: { "content-length": "0" } }, ""],
    ["none where one comes", { headers: { "content-length": "5" } }, undefined],
    ["none to a POST of no given length", {}, undefined],
    ["none to a GET that has one", { method: "GET", headers: { "transfer-encoding": "chunked" } }, undefined],
    ["a part", { rawBody: bytes, headers: { "x-envoy-auth-partial-body": "true" } }, undefined],
    ["a text, in which other bytes are replaced", { body: "hello" }, undefined],
    ["no size", { method: "GET", size: -1n }, undefined],
  ])("takes %s as the body it is", (_, http, expected) => {
    const { body } = requestOf(http);
    expect(body && Buffer.from(body).toString()).toBe(expected);
  });

  it("takes headers in either form, and the host that goes upstream", () => {
    const headerMap = { headers: [{ key: "X-One", rawValue: bytes }] };
    expect(requestOf({ headerMap }).headers.get("x-one")).toBe("hello");
    expect(requestOf({ host: "proxy" }).host).toBe("proxy");
    expect(requestOf({ host: "proxy" }, { upstream_host: "api" }).host).toBe("api");
    expect(requestOf({ path: "*" }).path).toBeUndefined();
  });
});
