import { describe, expect, it } from "vitest";
import { readTokenChallenge } from "../../../src/oauth/resource/authentication_challenge.js";

const many = Array.from({ length: 150 }, (_, index) => `s${index}`);

/** Headers of real APIs, of the RFCs, and of an API that means harm. */
const rows: readonly (readonly [
  name: string,
  header: string,
  error: string | undefined,
  scopes?: string[],
])[] = [
  ["RFC 6750 section 3", 'Bearer realm="example"', undefined],
  [
    "RFC 6750 section 3, expired",
    'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
    "invalid_token",
  ],
  [
    "RFC 6750, scopes",
    'Bearer error="insufficient_scope", scope="openid profile email"',
    "insufficient_scope",
    ["openid", "profile", "email"],
  ],
  [
    "Google",
    'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="https://www.googleapis.com/auth/drive"',
    "insufficient_scope",
    ["https://www.googleapis.com/auth/drive"],
  ],
  [
    "MCP 2025-11-25",
    'Bearer error="insufficient_scope", scope="files:read files:write", resource_metadata="https://mcp.example/.well-known/oauth-protected-resource", error_description="x"',
    "insufficient_scope",
    ["files:read", "files:write"],
  ],
  ["RFC 9449", 'DPoP error="use_dpop_nonce", algs="ES256"', "use_dpop_nonce"],
  [
    "a scheme in capitals, an unquoted word",
    "BEARER error=insufficient_scope, scope=repo",
    "insufficient_scope",
    ["repo"],
  ],
  ["another scheme first", 'Basic realm="x", Bearer error="invalid_token"', "invalid_token"],
  [
    "token68 first",
    'Negotiate YII=, Bearer error="insufficient_scope", scope="a"',
    "insufficient_scope",
    ["a"],
  ],
  [
    "two headers joined",
    'Bearer realm="a", Bearer error="insufficient_scope", scope="b"',
    "insufficient_scope",
    ["b"],
  ],
  [
    "a comma and an escaped quote inside a text",
    'Bearer error_description="a, error=\\"insufficient_scope\\"", error="invalid_token"',
    "invalid_token",
  ],
  ["an error of another scheme", 'Basic error="insufficient_scope", scope="a"', undefined],
  ["an error inside a description", 'Bearer error_description="error=insufficient_scope"', undefined],
  ["no header", "", undefined],
  ["blanks and commas", " , ,, ", undefined],
  ["a text without an end", 'Bearer error="insufficient_scope', undefined],
  ["no scheme", 'error="insufficient_scope"', undefined],
  ["garbage", '\u00ff\u00fe =;=,, "', undefined],
  ["a line break", 'Bearer error="invalid_token"\r\nSet-Cookie: a=b', undefined],
  ["NUL", 'Bearer error="invalid_token\0"', undefined],
  ["what Latin-1 does not have", 'Bearer error="insufficient_scope", scope="\u{1f600}"', undefined],
  ["a secret for a word", 'Bearer error="ya29.secret"', "other"],
  ["an empty word", 'Bearer error=""', "other"],
  ["a word in capitals", 'Bearer error="INVALID_TOKEN"', "other"],
  [
    "names of every object",
    'Bearer __proto__="insufficient_scope", constructor="x", toString="y"',
    undefined,
  ],
  [
    "scopes that are none",
    'Bearer error="insufficient_scope", scope="ok <b>x</b> a\\"b a\\\\b \t c\u00e9 ok"',
    "insufficient_scope",
    ["ok", "<b>x</b>"],
  ],
  [
    "a scope that is too long",
    `Bearer error="insufficient_scope", scope="${"x".repeat(257)} ${"y".repeat(256)}"`,
    "insufficient_scope",
    ["y".repeat(256)],
  ],
  [
    "too many scopes",
    `Bearer error="insufficient_scope", scope="${many.join(" ")}"`,
    "insufficient_scope",
    many.slice(0, 100),
  ],
  ["no scopes", 'Bearer error="insufficient_scope", scope=""', "insufficient_scope", []],
];

/** RFC 9470 section 3. */
const signIns: readonly (readonly [parameters: string, acrValues: string[], maxAgeSeconds?: number])[] = [
  ['acr_values="myACR"', ["myACR"]],
  ['max_age="5"', [], 5],
  ["acr_values=phr, max_age=0", ["phr"], 0],
  ['acr_values="a  b a <i> c\u00e9 d\\"e", max_age="3600"', ["a", "b", "<i>"], 3600],
  [`acr_values="${many.slice(0, 20).join(" ")}"`, many.slice(0, 10)],
  // What says nothing asks for a new sign-in.
  ['error_description="x"', [], 0],
  ['acr_values="", max_age=""', [], 0],
  ['max_age="-1"', [], 0],
  ['max_age="1e3"', [], 0],
  ['max_age="999999999999"', [], 0],
  ['acr_values="a", max_age="soon"', ["a"]],
];

describe("readTokenChallenge", () => {
  it.each(signIns)("reads how the user must sign in: %s", async (parameters, acrValues, maxAgeSeconds) => {
    const header = `Bearer error="insufficient_user_authentication", scope="a", ${parameters}`;
    const error = "insufficient_user_authentication";
    expect(await readTokenChallenge(header)).toEqual({
      ...{ error, scopes: ["a"] },
      signIn: { acrValues, maxAgeSeconds },
    });
  });

  const all = rows.map(([name, header, error, scopes = []]) => ({ name, header, error, scopes }));
  it.each(all)("$name", async ({ header, error, scopes }) => {
    expect(await readTokenChallenge(header)).toEqual({ error, scopes });
  });

  it("is done with 8 KiB of anything in no time", async () => {
    const hostile = ["Bearer ", "a=b,", 'a="', "\\", ", ", "=", "B ", 'Bearer error="x",'];
    const startedMs = performance.now();
    for (const piece of hostile) {
      const header = `Bearer ${piece.repeat(8_192 / piece.length)}`;
      expect((await readTokenChallenge(header)).scopes).toEqual([]);
    }
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
