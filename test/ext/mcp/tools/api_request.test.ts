import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { apiRequestOf, urlBelow } from "../../../../src/ext/mcp/tools/api_request.js";
import type { McpPolicy } from "../../../../src/ext/mcp/tools/mcp_policy.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import fc from "../../../property.js";

const bases = [
  "https://api.example",
  "https://api.example/v3",
  "https://api.example/v3/",
  "https://api.example:8443/a/b?version=7",
];

describe("urlBelow", () => {
  it("never leaves the origin and the folder of the base URL, whatever the path", () => {
    const parts = [
      "/",
      "..",
      ".",
      "%2e",
      "%2E",
      "%252e",
      "%2f",
      "\\",
      "a",
      ";",
      "?",
      "#",
      "@",
      ":",
      "//",
      " ",
      "\t",
      "https://evil.example",
      "é",
      "%00",
      "%20",
      "%c0%ae",
      "%e0%80%af",
    ];
    const path = fc.oneof(
      fc.array(fc.constantFrom(...parts), { maxLength: 8 }).map((chosen) => chosen.join("")),
      fc.string({ maxLength: 30 }),
      fc.webUrl(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...bases), path, (apiBaseUrl, given) => {
        let url: URL;
        try {
          url = new URL(urlBelow(apiBaseUrl, given));
        } catch (error) {
          expect((error as Error).name).toBe("CommandFailure");
          return;
        }
        const base = new URL(apiBaseUrl);
        expect([url.origin, url.username, url.password, url.hash]).toEqual([base.origin, "", "", ""]);
        // As a server reads it that decodes twice, takes overlong forms, and drops what it does not see.
        const seen = new URL(url.origin);
        const decoded = safeDecode(safeDecode(url.pathname));
        seen.pathname = decoded
          .replace(/\xc0\xae/g, ".")
          .replace(/\xe0\x80\xaf/g, "/")
          .replace(/[\0 ]/g, "");
        expect(`${seen.pathname}/`.startsWith(`${base.pathname.replace(/\/+$/, "")}/`)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    "/..%00/admin",
    "/..%20/admin",
    "/%2e%2e%2500",
    "/..%09;a/admin",
    "/.. /admin",
    "/a%00b",
    "/a%250d%250aX: y",
    "/%c0%ae%c0%ae/admin",
    "/..%C0%AFadmin",
    "/%25c0%25ae./admin",
    "/%e0%80%ae%e0%80%ae/admin",
    "/%f0%80%80%ae./admin",
  ])("refuses %s, which a server may read as a path that leads up", (path) => {
    expect(() => urlBelow("https://api.example/v3", path)).toThrow(/^path: must /);
  });

  it.each(["/caf%C3%A9", "/caf%E9", "/%C0", "/a%20b", "/a..%20b/..c", "/%E0%A4%85"])(
    "takes %s, which leads nowhere else",
    (path) => {
      expect(urlBelow("https://api.example/v3", path)).toBe(`https://api.example/v3${path}`);
    },
  );

  it("adds what the model gives to the query of the base URL and of the path", () => {
    expect(urlBelow("https://api.example/a?version=7", "/b?c=1", { d: "x&y", e: ["1", "2"] })).toBe(
      "https://api.example/a/b?version=7&c=1&d=x%26y&e=1&e=2",
    );
  });
});

function safeDecode(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

describe("a server for methods that read", () => {
  const slack = create(ProviderSchema, { name: "slack", apiBaseUrl: "https://slack.com/api" });
  const ask = (method: string, path: string, methods: readonly string[]) => {
    const policy: McpPolicy = {
      ...{ userId: "ada", isLoginName: false, providers: [], methods, hosts: [] },
      ...{ maxAnswerBytes: 1, givesTokens: false },
    };
    return () => apiRequestOf({ method, path, query: {}, headers: {} }, slack, policy).url;
  };
  const reading = ["GET", "HEAD", "OPTIONS"];

  it("refuses what the API writes by", () => {
    expect(ask("GET", "/chat.postMessage?channel=C1", ["GET", "HEAD"])).toThrow(/may do more than GET, HEAD/);
    expect(ask("POST", "/chat.postMessage", reading)).toThrow(/may do more/);
    expect(ask("GET", "/conversations.list?_method=DELETE", reading)).toThrow(/may do more/);
  });

  it("sends what it reads by, by POST only with all methods that read", () => {
    expect(ask("GET", "/conversations.list", ["GET", "HEAD"])()).toBe(
      "https://slack.com/api/conversations.list",
    );
    expect(ask("POST", "/conversations.list", ["GET", "HEAD"])).toThrow(/the method POST is not allowed/);
    expect(ask("POST", "/conversations.list", reading)()).toBe("https://slack.com/api/conversations.list");
    expect(ask("POST", "/chat.postMessage", [])()).toBe("https://slack.com/api/chat.postMessage");
  });
});
