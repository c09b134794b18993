import { describe, expect, it } from "vitest";
import { urlBelow } from "../../../../src/ext/mcp/tools/api_request.js";
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
