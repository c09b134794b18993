import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { type RefreshGrant, refresh } from "../../../src/oauth/grants/refresh_grant.js";
import type { Renewed } from "../../../src/oauth/token_response.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { hangUp, json, type Script, startScriptedServer } from "../scripted_server.js";
import { newSigningKey } from "../signing_key.js";

/** In every secret of these tests: it must never show in an error. */
const canary = "canary-4711";
const key = newSigningKey("k1");

const server = perTest(() => startScriptedServer());
const clock = perTest(() => new ManualClock(Date.UTC(2031, 4, 1)));

function redeem(more: Partial<RefreshGrant> = {}, issuer = server.origin): Promise<Renewed> {
  return refresh({
    server: manualAuthorizationServer({
      issuer,
      authUrl: `${server.origin}/auth`,
      tokenUrl: `${server.origin}/token`,
      jwksUrl: `${server.origin}/jwks`,
    }),
    client: {
      clientId: "client",
      clientSecret: new Secret(`${canary}-secret`),
      method: "client_secret_basic",
    },
    refreshToken: new Secret(`${canary}-rt`),
    clock,
    fetch: createOutboundFetch({ networks: loopbackNetworks }),
    ...more,
  });
}

const tokens = {
  access_token: `${canary}-at2`,
  token_type: "Bearer",
  expires_in: 3600,
  refresh_token: `${canary}-rt2`,
};

test("a refresh waits for a server that answers late", async () => {
  server.script = (response, request) => setTimeout(() => json(tokens)(response, request), 400);
  const fetch = createOutboundFetch({ networks: loopbackNetworks, timeoutMs: 200 });
  expect((await redeem({ fetch })).tokenSet.refreshToken?.reveal()).toBe(`${canary}-rt2`);
});

test.each([
  ["the scopes that were granted, where the provider wants them", ["read", "a:b"], " ", "read a:b"],
  ["as the provider separates them", ["read", "write"], ",", "read,write"],
  ["none, where nothing is known of them", [], " ", undefined],
])("a refresh names %s", async (_name, grantedScopes, scopeSeparator, scope) => {
  server.script = json(tokens);
  await redeem({ grantedScopes, options: { ...plainOAuth2, scopeOnRefresh: true, scopeSeparator } });
  await redeem({ grantedScopes });
  const [wanted, plain] = server.requests;
  expect(wanted?.form.get("scope") ?? undefined).toBe(scope);
  expect(plain?.form.has("scope")).toBe(false);
});

test("a refresh token is redeemed for a token set, without a scope", async () => {
  server.script = json(tokens);
  const { tokenSet, idTokenViolation } = await redeem();
  expect(tokenSet.accessToken.reveal()).toBe(tokens.access_token);
  expect(tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);
  expect(tokenSet).toMatchObject({ expiresInMs: 3_600_000, scopes: undefined, subject: undefined });
  expect(idTokenViolation).toBeUndefined();
  const [request] = server.requests;
  expect(Object.fromEntries(request?.form ?? [])).toEqual({
    grant_type: "refresh_token",
    refresh_token: `${canary}-rt`,
  });
  expect(request?.headers.authorization).toMatch(/^Basic /);
});

test.each([
  [
    "access_token",
    "a\r\nX-Evil: 1",
    "the access token has characters that RFC 6749 appendix A.12 does not allow",
  ],
  ["access_token", "a".repeat(65_537), "the access token is longer than 64 KiB"],
  ["access_token", "", "the response has a refresh token and no access token"],
  ["access_token", undefined, "the response has a refresh token and no access token"],
  ["token_type", "mac", "the token type is not one that nexusd understands (RFC 6749 section 7.1)"],
])("an answer whose %s cannot be served still has its refresh token", async (member, value, violation) => {
  server.script = json({ ...tokens, [member]: value });
  const { tokenSet, accessTokenViolation } = await redeem();
  expect(accessTokenViolation).toBe(violation);
  expect(tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);
});

test.each([undefined, null, ""])("a refresh token of %j in the answer is none", async (refresh_token) => {
  server.script = json({ ...tokens, refresh_token });
  expect((await redeem()).tokenSet.refreshToken).toBeUndefined();
});

test.each<[name: string, script: Script]>([
  ["201", json(tokens, 201)],
  ["expires_in null", json({ ...tokens, expires_in: null })],
  ["expires_in text", json({ ...tokens, expires_in: "an hour" })],
  ["scope list", json({ ...tokens, scope: ["a"] })],
  ["no type", json({ ...tokens, token_type: undefined })],
  ["form", json(new URLSearchParams({ ...tokens, expires_in: "3600" }).toString())],
])("a rotated refresh token survives: %s", async (_name, script) => {
  server.script = script;
  expect((await redeem()).tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);
});

describe("an id_token in the answer", () => {
  function claims(more: Record<string, unknown> = {}): Record<string, unknown> {
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    return { iss: server.origin, sub: "ada", aud: "client", exp: nowSeconds + 60, iat: nowSeconds, ...more };
  }

  test.each([{}, { nonce: "whatever" }, { azp: "client" }])("continues the first: %j", async (more) => {
    const idToken = key.sign(claims(more));
    server.script = json({ ...tokens, id_token: idToken });
    const { tokenSet, idTokenViolation } = await redeem({ previousSubject: "ada" });
    expect(idTokenViolation).toBeUndefined();
    expect(tokenSet.subject).toBe("ada");
    expect(tokenSet.idToken?.reveal()).toBe(idToken);
  });

  test.each<[violation: string, more: Record<string, unknown>]>([
    ["iss", { iss: "https://evil.example" }],
    ["aud", { aud: "other" }],
    ["azp", { azp: "other" }],
    ["sub", { sub: "eve" }],
    ["sub", { sub: undefined }],
    ["exp", { exp: 1 }],
  ])("with an error in %s is told, beside the refresh token that counts: %j", async (violation, more) => {
    server.script = json({ ...tokens, id_token: key.sign(claims(more)) });
    const { tokenSet, idTokenViolation } = await redeem({ previousSubject: "ada" });
    expect(idTokenViolation).toBe(violation);
    expect(tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);
    expect(tokenSet.accessToken.reveal()).toBe(tokens.access_token);
    expect([tokenSet.idToken, tokenSet.subject]).toEqual([undefined, undefined]);
  });

  test.each(["x", "a.b.c", "a.b.c.d.e"])(
    "that is none (%s) is dropped, the tokens are kept",
    async (id_token) => {
      server.script = json({ ...tokens, id_token });
      const { tokenSet, idTokenViolation } = await redeem({ previousSubject: "ada" });
      expect(idTokenViolation).toBe("malformed");
      expect(tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);
    },
  );

  test("with another alg than the provider's is dropped", async () => {
    server.script = json({ ...tokens, id_token: key.sign(claims(), { alg: "none" }) });
    expect((await redeem()).idTokenViolation).toBe("alg");
  });

  test("has no subject to compare with when there was no id_token before", async () => {
    server.script = json({ ...tokens, id_token: key.sign(claims({ sub: "eve" })) });
    expect((await redeem()).tokenSet.subject).toBe("eve");
  });

  test("is dropped unread when no issuer is known", async () => {
    server.script = json({ ...tokens, id_token: "x" });
    const { tokenSet, idTokenViolation } = await redeem({}, "");
    expect([tokenSet.idToken, idTokenViolation]).toEqual([undefined, undefined]);
  });

  test("causes no other request before the caller has the tokens", async () => {
    server.script = json({ ...tokens, id_token: key.sign(claims()) });
    await redeem({ previousSubject: "ada" });
    expect(server.requests.map(({ path }) => path)).toEqual(["/token"]);
  });
});

describe("failures", () => {
  test.each<[name: string, script: Script, expected: Partial<GrantFailure>]>([
    [
      "invalid_grant",
      json({ error: "invalid_grant", refresh_token: canary }, 400),
      { kind: "invalid_grant" },
    ],
    ["503", json(`<html>${canary}`, 503), { kind: "transient", httpStatus: 503 }],
    ["no token", json({ id_token: canary }), { kind: "rejected", reason: "malformed_response" }],
    ["a cut", hangUp, { kind: "ambiguous" }],
  ])("%s", async (_name, script, expected) => {
    server.script = script;
    const violation = await redeem().catch((error: unknown) => error);
    expect(violation).toBeInstanceOf(GrantFailure);
    expect(violation).toMatchObject(expected);
    expect(inspect(violation, { depth: 20, showHidden: true })).not.toContain(canary);
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    [400, "invalid_grant"],
    [403, "invalid_grant"],
    [200, "invalid_grant"],
    [408, "ambiguous"],
    [429, "transient"],
    [503, "transient"],
  ])("an alias of invalid_grant with status %d: %s", async (status, kind) => {
    server.script = json({ error: "unauthorized_client" }, status);
    const options = { ...plainOAuth2, invalidGrantAliases: ["unauthorized_client"] };
    await expect(redeem({ options })).rejects.toMatchObject({ kind });
    if (status === 400) await expect(redeem()).rejects.toMatchObject({ kind: "client" });
  });

  test.each([
    [403, {}, "invalid_grant"],
    [403, "", "invalid_grant"],
    [403, { error: "invalid_client" }, "client"],
    [403, "error=invalid_client", "client"],
    [400, {}, "transient"],
    [503, {}, "transient"],
    [200, {}, "rejected"],
  ])("an alias of invalid_grant by the status 403: %d %j is %s", async (status, body, kind) => {
    server.script =
      typeof body === "string" ? (response) => response.writeHead(status).end(body) : json(body, status);
    const options = { ...plainOAuth2, invalidGrantAliases: ["http_status=403"] };
    await expect(redeem({ options })).rejects.toMatchObject({ kind });
  });

  test("silence, until the caller gives up", async () => {
    const stop = new AbortController();
    server.script = () => stop.abort();
    await expect(redeem({ signal: stop.signal })).rejects.toMatchObject({ kind: "ambiguous" });
  });

  test("nobody there", async () => {
    await server.close();
    await expect(redeem()).rejects.toMatchObject({ name: "GrantFailure", kind: "transient" });
  });
});
