import { describe, expect, it } from "vitest";
import { inject, type ProxiedRequest } from "../../../src/ext/envoy/proxied_request.js";
import type { Strategy } from "../../../src/model/credentials/strategy.js";

const request: ProxiedRequest = {
  method: "POST",
  host: "api.example",
  scheme: "https",
  path: "/v1?b=2",
  headers: new Map([
    ["content-type", "text/plain"],
    ["x-amz-target", "T"],
    ["user-agent", "agent"],
  ]),
  headerFields: [],
  body: Buffer.from("hello"),
};
/** No proof, unless a test makes one. */
const means = { nowMs: 0, prove: async () => undefined };
const query: Strategy = { kind: "query_param", paramName: "key", credentialField: "api_key" };
const aws: Strategy = { kind: "aws_sigv4", service: "sts", region: "eu-west-1" };
const hmac: Strategy = {
  kind: "hmac_payload",
  headerName: "X-Signature",
  secretField: "secret",
  algo: "sha256",
  encoding: "hex",
};
const keys = { access_key: "AKID", secret_key: "s3cret" };

describe("injecting into a request at a proxy", () => {
  it("sets the header of the strategy, and removes no other of that name", async () => {
    const strategy: Strategy = {
      kind: "header",
      headerName: "X-Api-Key",
      valuePrefix: "",
      credentialField: "api_key",
    };
    const { setHeaders, removeHeaders } = await inject(request, strategy, { api_key: "k" }, means);
    expect(setHeaders).toEqual([["x-api-key", "k"]]);
    expect(removeHeaders).toEqual(["authorization", "dpop", "proxy-authorization", "cookie"]);
  });

  describe("a token that is bound to a key", () => {
    const bound: Strategy = {
      ...{ kind: "oauth2", headerName: "Authorization", valuePrefix: "DPoP " },
      credentialField: "access_token",
    };
    const proved: (readonly string[])[] = [];
    const proving = {
      nowMs: 0,
      prove: async (method: string, url: string) => {
        proved.push([method, url]);
        return "h.p.s";
      },
    };

    it("goes with a proof for the request as the API gets it", async () => {
      const { setHeaders, removeHeaders } = await inject(request, bound, { access_token: "t" }, proving);
      expect(setHeaders).toEqual([
        ["authorization", "DPoP t"],
        ["dpop", "h.p.s"],
      ]);
      expect(removeHeaders).toEqual(["proxy-authorization", "cookie", "x-api-key"]);
      await inject({ ...request, scheme: "http" }, bound, { access_token: "t" }, proving);
      expect(proved).toEqual([
        ["POST", "https://api.example/v1?b=2"],
        ["POST", "http://api.example/v1?b=2"],
      ]);
    });

    it.each([
      ["host", { host: undefined }, /upstream_host, or X-Nexus-Upstream-Host/],
      ["path", { path: undefined }, /X-Original-URI/],
      ["a URL", { host: "a b" }, /no URL/],
    ])("is denied without %s", async (_name, change, says) => {
      const asked = inject({ ...request, ...change }, bound, { access_token: "t" }, proving);
      await expect(asked).rejects.toThrow(says);
    });

    it("is denied without a proof", async () => {
      await expect(inject(request, bound, { access_token: "t" }, means)).rejects.toThrow(/CreateProof/);
    });
  });

  it("sets the parameter encoded, and removes the caller's in every other spelling", async () => {
    const given = { ...request, path: "/v1?key=1&%6bey=2&k%65y=3&b=2&%zz=4" };
    const { setHeaders, setQuery, removeQuery } = await inject(given, query, { api_key: "a&b=c" }, means);
    expect(setHeaders).toEqual([]);
    expect(setQuery).toEqual([["key", "a%26b%3Dc"]]);
    expect(removeQuery).toEqual(["%6bey", "k%65y"]);
  });

  it("signs the caller's own headers of AWS, and none that a proxy may change", async () => {
    const { setHeaders, removeHeaders } = await inject(request, aws, keys, means);
    const made = Object.fromEntries(setHeaders);
    expect(made["authorization"]).toContain(
      "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target,",
    );
    expect(made["x-amz-date"]).toBe("19700101T000000Z");
    expect(removeHeaders).toContain("x-amz-security-token");
  });

  it("signs a body in chunks as that, without seeing it, and refuses chunks of another key", async () => {
    const s3 = { ...aws, service: "s3" };
    const streaming = (form: string) => {
      const headers = new Map([...request.headers, ["x-amz-content-sha256", form]]);
      return inject({ ...request, headers, body: undefined }, s3, keys, means);
    };
    const { setHeaders, removeHeaders } = await streaming("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    expect(Object.fromEntries(setHeaders)["authorization"]).toContain(";x-amz-content-sha256;");
    expect(removeHeaders).not.toContain("x-amz-content-sha256");
    await expect(streaming("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")).rejects.toThrow(/plain body/);
  });

  it("leaves a URL alone that is signed already", async () => {
    const signed = { ...request, path: "/key?X-Amz-Signature=abc", body: undefined };
    const { setHeaders, removeHeaders } = await inject(signed, { ...aws, service: "s3" }, keys, means);
    expect(setHeaders).toEqual([]);
    expect(removeHeaders).toContain("authorization");
    expect(removeHeaders.filter((name) => name.startsWith("x-amz-"))).toEqual([]);
  });

  it.each([
    [
      "query_param without a path",
      { ...request, path: undefined },
      query,
      { api_key: "k" },
      /path and query/,
    ],
    ["aws_sigv4 without a body", { ...request, body: undefined }, aws, keys, /whole body/],
    ["aws_sigv4 without a host", { ...request, host: undefined }, aws, keys, /host/],
    ["hmac_payload without a body", { ...request, body: undefined }, hmac, { secret: "s" }, /whole body/],
    [
      "a value that would end a header",
      request,
      { ...hmac, kind: "header", valuePrefix: "", credentialField: "k" },
      { k: "a\r\nb: c" },
      /cannot be put/,
    ],
  ] as const)("refuses %s, and says why", async (_, given, strategy, credentials, words) => {
    await expect(inject(given, strategy as Strategy, credentials, means)).rejects.toMatchObject({
      kind: "permission_denied",
      message: expect.stringMatching(words),
    });
  });
});
