import { expect, test } from "vitest";
import { refusalWords, refusedClientAdvice } from "../../../src/domain/token_endpoint/refused_client.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { Secret } from "../../../src/runtime/secret.js";
import { aProfile } from "../../samples.js";

const refusal = (reportedReason: string, oauthError = "invalid_client"): string | undefined =>
  refusalWords(
    new GrantFailure({
      kind: "client",
      oauthError,
      httpStatus: 400,
      reportedReason: new Secret(reportedReason),
    }),
  );

test("what Hydra says of an audience stands in the log as it is", () => {
  const hydra =
    "Client authentication failed. Claim 'audience' from 'client_assertion' must match the authorization server's token endpoint 'https://hydra.example/oauth2/token'.";
  expect(refusal(hydra)).toBe(hydra);
});

test.each([
  ["no such client\u001b[2J\n", "no such client [2J "],
  ["use token_endpoint_auth_method", "use token_endpoint_auth_method"],
  [`secret ${"aB3-".repeat(6)} is wrong`, "secret [redacted] is wrong"],
  ["x".repeat(1_000), "x".repeat(300)],
])("%j is logged as %j", (reportedReason, logged) => {
  expect(refusal(reportedReason)).toBe(logged);
});

test("what is said of another refusal is not logged", () => {
  expect(refusal("ada has no such scope", "invalid_scope")).toBeUndefined();
});

test.each([
  [{ grantType: "jwt_bearer" as const }, /^the grant was a JWT/],
  [{ grantType: "identity_assertion" as const, identityProvider: "company" }, /^no secret was sent/],
  [{ grantType: "authorization_code" as const }, /^no secret was sent/],
])("%j of a public client is told what to check", (grant, advice) => {
  expect(refusedClientAdvice(aProfile({ ...grant, tokenEndpointAuthMethod: "none" }))).toMatch(advice);
});
