import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { urlBelow } from "../../../../src/cli/mcp/tools/api_request.js";

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
        // As a server reads it that decodes twice.
        const seen = new URL(url.origin);
        seen.pathname = safeDecode(safeDecode(url.pathname));
        expect(`${seen.pathname}/`.startsWith(`${base.pathname.replace(/\/+$/, "")}/`)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

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
