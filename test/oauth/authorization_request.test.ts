import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type AuthorizationRequest, authorizationUrl } from "../../src/oauth/authorization_request.js";
import { manualAuthorizationServer } from "../../src/oauth/authorization_server.js";
import { newCodeVerifier } from "../../src/oauth/pkce.js";

const codeVerifier = newCodeVerifier();
const codeChallenge = createHash("sha256").update(codeVerifier).digest("base64url");

async function params(request: Partial<AuthorizationRequest>, authUrl = "https://a.example/auth") {
  const server = manualAuthorizationServer({
    issuer: "",
    authUrl,
    tokenUrl: "https://a.example/token",
    jwksUrl: "",
  });
  const url = new URL(
    await authorizationUrl({
      server,
      clientId: "client&1",
      redirectUri: "http://localhost:8080/auth/callback",
      scopes: [],
      state: "st",
      codeVerifier,
      ...request,
    }),
  );
  expect(url.origin + url.pathname).toBe("https://a.example/auth");
  const names = [...url.searchParams.keys()];
  expect(new Set(names).size).toBe(names.length);
  return Object.fromEntries(url.searchParams);
}

const always = {
  response_type: "code",
  client_id: "client&1",
  redirect_uri: "http://localhost:8080/auth/callback",
  state: "st",
  code_challenge: codeChallenge,
  code_challenge_method: "S256",
};

test("the code verifier is new each time and as long as RFC 7636 wants", () => {
  expect(codeVerifier).toMatch(/^[A-Za-z0-9_-]{43,128}$/);
  expect(newCodeVerifier()).not.toBe(codeVerifier);
});

test("the least", async () => {
  expect(await params({})).toEqual(always);
});

test("how the user must sign in, whatever the profile says", async () => {
  const signIn = { acrValues: ["phr", "phrh"], maxAgeSeconds: 0 };
  const extraParams = { acr_values: "weak", max_age: "99999" };
  const expected = { ...always, acr_values: "phr phrh", max_age: "0" };
  expect(await params({ signIn, extraParams })).toEqual(expected);
  expect(await params({ signIn: { acrValues: ["phr"] } })).toEqual({ ...always, acr_values: "phr" });
});

test("scopes and, with openid, the nonce", async () => {
  expect(await params({ scopes: ["openid", "a:b"], nonce: "n" })).toEqual({
    ...always,
    scope: "openid a:b",
    nonce: "n",
  });
  expect(await params({ scopes: ["read"], nonce: "n" })).toEqual({ ...always, scope: "read" });
});

test("extra parameters come along and override nothing of the protocol", async () => {
  const evil = Object.fromEntries(
    [
      ...Object.keys(always),
      "nonce",
      "scope",
      "request",
      "request_uri",
      "response_mode",
      "code_verifier",
      "client_secret",
    ].map((name) => [name, "evil"]),
  );
  const extraParams = { ...evil, access_type: "offline", prompt: "consent & more" };
  expect(await params({ extraParams })).toEqual({
    ...always,
    access_type: "offline",
    prompt: "consent & more",
  });
});

test("the query of the endpoint is kept, below the protocol and the extra parameters", async () => {
  const authUrl = "https://a.example/auth?tenant=a%20b&state=evil&prompt=none&response_mode=query";
  expect(await params({ extraParams: { prompt: "login" } }, authUrl)).toEqual({
    ...always,
    tenant: "a b",
    prompt: "login",
    response_mode: "query",
  });
});

test("what the profile declares: a separator, no scope, no PKCE", async () => {
  const scopes = ["openid", "a b"];
  expect(await params({ scopes: ["a", "b"], options: { scopeSeparator: "," } })).toEqual({
    ...always,
    scope: "a,b",
  });
  const resource = "https://api.example/v1?x=1";
  expect(await params({ scopes: ["a"], options: { resource } })).toEqual({
    ...always,
    scope: "a",
    resource,
  });
  const withoutScope = { scopes, nonce: "n", options: { skipScopeOnAuth: true } };
  expect(await params(withoutScope)).toEqual(always);
  const { code_challenge: _, code_challenge_method: __, ...withoutPkce } = always;
  const extraParams = { code_challenge: "mine", code_challenge_method: "plain" };
  expect(await params({ extraParams, options: { omitPkce: true } })).toEqual(withoutPkce);
});
