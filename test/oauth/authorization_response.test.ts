import { describe, expect, test } from "vitest";
import { processAuthorizationResponse } from "../../src/oauth/authorization_response.js";
import { fromDiscoveryDocument, manualAuthorizationServer } from "../../src/oauth/authorization_server.js";

const issuer = "https://idp.example";
const endpoints = { authUrl: "https://idp.example/auth", tokenUrl: "https://idp.example/token", jwksUrl: "" };
const discovered = (supported: boolean) =>
  fromDiscoveryDocument(
    issuer,
    JSON.stringify({
      issuer,
      authorization_endpoint: endpoints.authUrl,
      token_endpoint: endpoints.tokenUrl,
      authorization_response_iss_parameter_supported: supported,
    }),
  );
const servers = {
  "one that promises iss": discovered(true),
  "one that does not": discovered(false),
  "one by hand with an issuer": manualAuthorizationServer({ ...endpoints, issuer }),
  "one by hand without an issuer": manualAuthorizationServer({ ...endpoints, issuer: "" }),
};

const judge = (query: string, server = servers["one that promises iss"]) =>
  processAuthorizationResponse(server, "client", new URLSearchParams(query), "st");
const iss = `iss=${encodeURIComponent(issuer)}`;

test("a code of any visible ASCII and spaces (RFC 6749 appendix A.11)", () => {
  const code = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).join("");
  const response = judge(new URLSearchParams({ code, state: "st", iss: issuer }).toString());
  expect(response.kind === "code" && response.params.get("code")).toBe(code);
});

test("a code", () => {
  const response = judge(`code=c%20d&state=st&${iss}&session_state=x&scope=a+b`);
  expect(response.kind).toBe("code");
  expect(response.kind === "code" && response.params.get("code")).toBe("c d");
});

describe("iss (RFC 9207)", () => {
  const mismatch = { kind: "invalid", reason: "iss_mismatch" };
  const missing = { kind: "invalid", reason: "iss_missing" };
  const evil = "iss=https%3A%2F%2Fevil.example";
  test.each<[server: keyof typeof servers, query: string, expected: Record<string, unknown>]>([
    ["one that promises iss", iss, { kind: "code" }],
    ["one that promises iss", "", missing],
    ["one that promises iss", "iss=", missing],
    ["one that promises iss", evil, mismatch],
    ["one that promises iss", `${iss}%2F`, mismatch],
    ["one that promises iss", iss.replace("idp", "IDP"), mismatch],
    ["one that promises iss", `iss=${encodeURIComponent("https://idp.example:443")}`, mismatch],
    ["one that does not", iss, { kind: "code" }],
    ["one that does not", "", { kind: "code" }],
    ["one that does not", evil, mismatch],
    ["one by hand with an issuer", iss, { kind: "code" }],
    ["one by hand with an issuer", "", { kind: "code" }],
    ["one by hand with an issuer", evil, mismatch],
    ["one by hand without an issuer", iss, { kind: "code" }],
    ["one by hand without an issuer", evil, { kind: "code" }],
    ["one by hand without an issuer", "", { kind: "code" }],
  ])("%s: %s", (server, query, expected) => {
    expect(judge(`code=c&state=st&${query}`, servers[server])).toMatchObject(expected);
    const error = expected["kind"] === "code" ? { kind: "error", error: "access_denied" } : expected;
    expect(judge(`error=access_denied&state=st&${query}`, servers[server])).toMatchObject(error);
  });
});

describe("an error", () => {
  test.each([
    ["access_denied", "access_denied"],
    ["temporarily_unavailable", "temporarily_unavailable"],
    ["a".repeat(64), "a".repeat(64)],
    ["a".repeat(65), "authorization_failed"],
    ["Access denied", "authorization_failed"],
    ["<script>", "authorization_failed"],
    ["access_denied\n", "authorization_failed"],
    ["ACCESS_DENIED", "authorization_failed"],
  ])("%j is told as %s", (sent, told) => {
    const query = new URLSearchParams({
      error: sent,
      error_description: "d",
      state: "st",
      iss: issuer,
      code: "c",
    });
    expect(judge(query.toString())).toEqual({ kind: "error", error: told });
  });
});

describe("invalid", () => {
  test.each([
    ["state_mismatch", `code=c&state=other&${iss}`],
    ["state_mismatch", `code=c&${iss}`],
    ["state_mismatch", `code=c&state=&${iss}`],
    ["state_mismatch", `error=access_denied&state=other&${iss}`],
    ["state_mismatch", ""],
    ["duplicate_parameter", `code=c&code=c&state=st&${iss}`],
    ["duplicate_parameter", `code=c&code=&state=st&${iss}`],
    ["duplicate_parameter", `code=c&state=st&state=st&${iss}`],
    ["duplicate_parameter", `code=c&state=st&${iss}&iss=https%3A%2F%2Fevil.example`],
    ["duplicate_parameter", `error=a&error=b&state=st&${iss}`],
    ["missing_code", `state=st&${iss}`],
    ["missing_code", `code=&state=st&${iss}`],
    ["missing_code", `code=&error=&state=st&${iss}`],
    ["malformed_code", `code=c%0D%0A&state=st&${iss}`],
    ["malformed_code", `code=%00&state=st&${iss}`],
    ["malformed_code", `code=c%7F&state=st&${iss}`],
    ["malformed_code", `code=c%FF&state=st&${iss}`],
    ["malformed_code", `code=%C3%A9&state=st&${iss}`],
    ["unexpected_parameter", `code=c&state=st&${iss}&response=jwt`],
    ["unexpected_parameter", `code=c&state=st&${iss}&id_token=jwt`],
    ["unexpected_parameter", `code=c&state=st&${iss}&token=t`],
    ["unexpected_parameter", `code=c&state=st&${iss}&access_token=t`],
  ])("%s: %s", (reason, query) => {
    expect(judge(query)).toEqual({ kind: "invalid", reason });
  });

  test("an empty expected state matches nothing", () => {
    const query = new URLSearchParams(`code=c&state=&${iss}`);
    const response = processAuthorizationResponse(servers["one that does not"], "client", query, "");
    expect(response).toEqual({ kind: "invalid", reason: "state_mismatch" });
  });
});
