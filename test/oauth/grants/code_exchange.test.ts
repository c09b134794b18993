import { inspect } from "node:util";
import { beforeEach, describe, expect, test } from "vitest";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { processAuthorizationResponse } from "../../../src/oauth/authorization_response.js";
import {
  type AuthorizationServer,
  manualAuthorizationServer,
} from "../../../src/oauth/authorization_server.js";
import type { OAuthClient } from "../../../src/oauth/client_authentication.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { type CodeExchange, exchangeCode } from "../../../src/oauth/grants/code_exchange.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { hangUp, json, type Script, startScriptedServer } from "../scripted_server.js";
import { newSigningKey } from "../signing_key.js";

/** In every secret of these tests: it must never show in an error. */
const canary = "canary-4711";
const clientId = "client:1";
const redirectUri = "http://localhost:8080/auth/callback";
const post: OAuthClient = {
  clientId,
  clientSecret: new Secret(`${canary}: secret`),
  method: "client_secret_post",
};

const server = perTest(() => startScriptedServer());
let authorizationServer: AuthorizationServer;
const clock = perTest(() => new ManualClock(Date.UTC(2031, 4, 1)));

beforeEach(async () => {
  authorizationServer = newAuthorizationServer();
});

function newAuthorizationServer(members: { issuer?: string; jwksUrl?: string } = {}): AuthorizationServer {
  return manualAuthorizationServer({
    issuer: server.origin,
    authUrl: `${server.origin}/auth`,
    tokenUrl: `${server.origin}/token`,
    jwksUrl: `${server.origin}/jwks`,
    ...members,
  });
}

function exchange(more: Partial<CodeExchange> = {}): Promise<TokenSet> {
  const used = more.server ?? authorizationServer;
  const query = new URLSearchParams({ code: `${canary}-code`, state: "st" });
  const response = processAuthorizationResponse(used, clientId, query, "st");
  if (response.kind !== "code") throw new Error(response.kind);
  return exchangeCode({
    server: used,
    client: post,
    params: response.params,
    redirectUri,
    codeVerifier: `${canary}-verifier-of-forty-three-characters-or-more`,
    requireIdToken: false,
    clock,
    fetch: createOutboundFetch({ networks: loopbackNetworks }),
    ...more,
  });
}

test("an exchange waits for a server that answers late", async () => {
  const tokens = { access_token: `${canary}-at`, token_type: "Bearer" };
  server.script = (response, request) => setTimeout(() => json(tokens)(response, request), 400);
  const fetch = createOutboundFetch({ networks: loopbackNetworks, timeoutMs: 200 });
  expect((await exchange({ fetch })).accessToken.reveal()).toBe(`${canary}-at`);
});

async function failure(answer: Promise<TokenSet>): Promise<GrantFailure> {
  const violation = await answer.catch((error: unknown) => error);
  expect(violation).toBeInstanceOf(GrantFailure);
  expect(inspect(violation, { depth: 20, showHidden: true })).not.toContain(canary);
  expect(JSON.stringify(violation)).not.toContain(canary);
  expect((violation as GrantFailure).stack).not.toContain(canary);
  return violation as GrantFailure;
}

const tokens = {
  access_token: `${canary}-at`,
  token_type: "bearer",
  expires_in: 3600,
  refresh_token: `${canary}-rt`,
  scope: "read write",
};

describe("the request", () => {
  test("client_secret_post", async () => {
    server.script = json(tokens);
    const tokenSet = await exchange();
    expect(tokenSet).toMatchObject({
      tokenType: "Bearer",
      expiresInMs: 3_600_000,
      scopes: ["read", "write"],
    });
    expect(tokenSet.accessToken.reveal()).toBe(tokens.access_token);
    expect(tokenSet.refreshToken?.reveal()).toBe(tokens.refresh_token);

    const [request] = server.requests;
    expect(request).toMatchObject({
      method: "POST",
      path: "/token",
      headers: { accept: "application/json" },
    });
    expect(request?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(request?.form ?? [])).toEqual({
      grant_type: "authorization_code",
      code: `${canary}-code`,
      code_verifier: `${canary}-verifier-of-forty-three-characters-or-more`,
      redirect_uri: redirectUri,
      client_id: clientId,
      client_secret: `${canary}: secret`,
    });
  });

  test("client_secret_basic: both halves are form-encoded (RFC 6749 section 2.3.1)", async () => {
    server.script = json(tokens);
    await exchange({ client: { ...post, method: "client_secret_basic" } });
    const [request] = server.requests;
    const [scheme, credentials = ""] = request?.headers.authorization?.split(" ") ?? [];
    expect(scheme).toBe("Basic");
    const halves = Buffer.from(credentials, "base64").toString().split(":");
    expect(halves.map((half) => new URLSearchParams(`x=${half}`).get("x"))).toEqual([
      clientId,
      `${canary}: secret`,
    ]);
    expect(request?.form.has("client_secret")).toBe(false);
  });

  test("client_secret_basic: what many servers do not decode is left as it is", async () => {
    server.script = json(tokens);
    const plain = "Az09-._~!*'()";
    const client = { clientId: `${plain}:%7E`, clientSecret: new Secret(`${plain} %21:+/é`) };
    await exchange({ client: { ...client, method: "client_secret_basic" } });
    const [, credentials = ""] = server.requests[0]?.headers.authorization?.split(" ") ?? [];
    expect(Buffer.from(credentials, "base64").toString()).toBe(
      `${plain}%3A%257E:${plain}+%2521%3A%2B%2F%C3%A9`,
    );
  });

  test("none", async () => {
    server.script = json(tokens);
    await exchange({ client: { clientId, method: "none" } });
    const [request] = server.requests;
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.form.get("client_id")).toBe(clientId);
    expect(request?.form.has("client_secret")).toBe(false);
  });

  test.each([undefined, new Secret("")])("is not sent when the secret is missing", async (clientSecret) => {
    const violation = await failure(exchange({ client: { ...post, clientSecret } }));
    expect(violation).toMatchObject({ kind: "client", oauthError: "invalid_client" });
    expect(server.requests).toHaveLength(0);
  });
});

describe("odd answers that are good", () => {
  test.each<[name: string, script: Script, expected: Partial<TokenSet>]>([
    [
      "GitHub's form",
      json(`access_token=${canary}-at&scope=repo%2Cgist&token_type=bearer`, 200, {
        "content-type": "application/x-www-form-urlencoded",
      }),
      { scopes: ["repo", "gist"], expiresInMs: undefined, refreshToken: undefined },
    ],
    ["201", json(tokens, 201), { expiresInMs: 3_600_000 }],
    ["JSON called HTML", json(tokens, 200, { "content-type": "text/html" }), { expiresInMs: 3_600_000 }],
    [
      "nothing but the token",
      json({ access_token: `${canary}-at` }),
      { tokenType: "Bearer", scopes: undefined },
    ],
    ["an odd type", json({ ...tokens, token_type: "user" }), { tokenType: "Bearer" }],
    [
      "nulls",
      json({ ...tokens, expires_in: null, refresh_token: null, scope: null, id_token: null }),
      { scopes: undefined },
    ],
    [
      "an unasked id_token, broken",
      json({ ...tokens, id_token: "x" }),
      { idToken: undefined, subject: undefined },
    ],
  ])("%s", async (_name, script, expected) => {
    server.script = script;
    const tokenSet = await exchange();
    expect(tokenSet.accessToken.reveal()).toBe(`${canary}-at`);
    expect(tokenSet).toMatchObject(expected);
  });
});

test.each<[members: object, words: string]>([
  [{ access_token: "a\n" }, "the access token has characters that RFC 6749 appendix A.12 does not allow"],
  [{ access_token: "a".repeat(65_537) }, "the access token is longer than 64 KiB"],
  [
    { token_type: "DPoP" },
    "the access token is bound to a key (DPoP, RFC 9449), and the request proved none",
  ],
  [{ token_type: "mac" }, "the token type is not one that nexusd understands (RFC 6749 section 7.1)"],
])("what is wrong with an access token is said", async (members, words) => {
  server.script = json({ ...tokens, ...members });
  const violation = await failure(exchange());
  expect(violation).toMatchObject({ kind: "rejected", reason: "malformed_response" });
  expect(violation.message).toContain(words);
});

describe("failures", () => {
  const secret = { error_description: canary, refresh_token: canary, access_token: undefined };
  test.each<[name: string, script: Script, expected: Partial<GrantFailure>]>([
    [
      "invalid_grant",
      json({ error: "invalid_grant", ...secret }, 400),
      { kind: "invalid_grant", oauthError: "invalid_grant", httpStatus: 400 },
    ],
    [
      "invalid_client with a challenge",
      json({ error: "invalid_client", ...secret }, 401, { "www-authenticate": `Basic realm="${canary}"` }),
      { kind: "client", oauthError: "invalid_client", httpStatus: 401 },
    ],
    [
      "Slack's 200",
      json({ ok: false, error: "ratelimited" }, 200, { "retry-after": "30" }),
      { kind: "transient", retryAfterMs: 30_000 },
    ],
    ["HTML", json(`<html>${canary}`, 200, { "content-type": "text/html" }), { kind: "transient" }],
    [
      "a redirect",
      json(canary, 307, { location: `/token?${canary}` }),
      { kind: "transient", httpStatus: 307 },
    ],
    [
      "half an answer",
      json(`{"access_token":"${canary}`),
      { kind: "rejected", reason: "malformed_response" },
    ],
    [
      "no access token",
      json({ ...tokens, access_token: "" }),
      { kind: "rejected", reason: "malformed_response" },
    ],
    ...["\r\nx-evil: 1", "\0", "\u001b[2J", "\u007f", "é", "\ud800"].map(
      (text): [name: string, script: Script, expected: Partial<GrantFailure>] => [
        `an access token with ${JSON.stringify(text)}`,
        json({ ...tokens, access_token: `a${text}` }),
        { kind: "rejected", reason: "malformed_response" },
      ],
    ),
    ...["N_A", "__proto__", "constructor", 5, ["Bearer"], "Bearer x"].map(
      (type): [name: string, script: Script, expected: Partial<GrantFailure>] => [
        `the token type ${JSON.stringify(type)}`,
        json({ ...tokens, token_type: type }),
        { kind: "rejected", reason: "malformed_response" },
      ],
    ),
    ["nothing", json("", 204), { kind: "rejected", reason: "malformed_response" }],
    ["a flood", json({ ...tokens, flood: canary.repeat(200_000) }), { kind: "ambiguous" }],
    ["a cut", hangUp, { kind: "ambiguous" }],
  ])("%s", async (_name, script, expected) => {
    server.script = script;
    expect(await failure(exchange())).toMatchObject(expected);
    expect(server.requests).toHaveLength(1);
  });

  test("silence, until the caller gives up", async () => {
    const stop = new AbortController();
    server.script = () => stop.abort();
    expect(await failure(exchange({ signal: stop.signal }))).toMatchObject({ kind: "ambiguous" });
  });

  test("nobody there", async () => {
    await server.close();
    expect(await failure(exchange())).toMatchObject({ kind: "transient" });
  });
});

describe("the id_token", () => {
  const key = newSigningKey("k1");
  const next = newSigningKey("k2");
  const forged = newSigningKey("k1");
  let jwks: { keys: unknown[] };
  let idToken: string | undefined;

  beforeEach(() => {
    jwks = { keys: [key.jwk] };
    server.script = (response, request) =>
      json(request.path === "/jwks" ? jwks : { ...tokens, id_token: idToken })(response, request);
  });

  function claims(more: Record<string, unknown> = {}): Record<string, unknown> {
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    return {
      iss: server.origin,
      sub: "ada",
      aud: clientId,
      exp: nowSeconds + 60,
      iat: nowSeconds,
      nonce: "n",
      note: canary,
      ...more,
    };
  }

  const openId = (more: Partial<CodeExchange> = {}) =>
    exchange({ requireIdToken: true, expectedNonce: "n", ...more });
  const fetched = () => server.requests.filter(({ path }) => path === "/jwks").length;

  test("is verified, its subject told, its keys fetched once", async () => {
    for (const aud of [clientId, [clientId]]) {
      idToken = key.sign(claims({ aud }));
      const tokenSet = await openId();
      expect(tokenSet.subject).toBe("ada");
      expect(tokenSet.idToken?.reveal()).toBe(idToken);
    }
    expect(fetched()).toBe(1);
  });

  test.each<[name: string, more: Record<string, unknown>]>([
    ["more audiences and azp", { aud: [clientId, "other"], azp: clientId }],
    ["azp alone", { azp: clientId }],
    ["expired within the tolerance", { exp: Date.UTC(2031, 4, 1) / 1000 - 20 }],
  ])("is good with %s", async (_name, more) => {
    idToken = key.sign(claims(more));
    expect((await openId()).subject).toBe("ada");
  });

  test.each<[violation: string, more: Record<string, unknown>]>([
    ["iss", { iss: "https://evil.example" }],
    ["iss", { iss: "" }],
    ["iss", { iss: undefined }],
    ["aud", { aud: "other" }],
    ["aud", { aud: ["other"] }],
    ["aud", { aud: [] }],
    ["aud", { aud: undefined }],
    ["aud", { aud: [clientId, "other"] }],
    ["azp", { aud: [clientId, "other"], azp: "other" }],
    ["azp", { azp: "other" }],
    ["azp", { azp: "" }],
    ["exp", { exp: Date.UTC(2031, 4, 1) / 1000 - 31 }],
    ["exp", { exp: "soon" }],
    ["exp", { exp: undefined }],
    ["nbf", { nbf: Date.UTC(2031, 4, 1) / 1000 + 31 }],
    ["nonce", { nonce: "other" }],
    ["nonce", { nonce: "" }],
    ["nonce", { nonce: undefined }],
    ["sub", { sub: "" }],
    ["sub", { sub: 7 }],
    ["sub", { sub: undefined }],
    ["sub", { sub: "a".repeat(256) }],
    ["iat", { iat: undefined }],
    ["iat", { iat: "now" }],
  ])("is refused for its %s: %j", async (idTokenViolation, more) => {
    idToken = key.sign(claims(more));
    expect(await failure(openId())).toMatchObject({
      kind: "rejected",
      reason: "id_token_verification_failed",
      idTokenViolation,
    });
    expect(fetched()).toBe(0);
  });

  test("an issuer that differs by its terminating slash is another", async () => {
    idToken = key.sign(claims({ iss: `${server.origin}/` }));
    expect(await failure(openId())).toMatchObject({ idTokenViolation: "iss" });
  });

  test("a nonce that nobody asked for is refused", async () => {
    idToken = key.sign(claims());
    expect(await failure(openId({ expectedNonce: undefined }))).toMatchObject({ idTokenViolation: "nonce" });
  });

  test("is judged by the clock that is passed in", async () => {
    idToken = key.sign(claims());
    clock.jump(91_000);
    expect(await failure(openId())).toMatchObject({ idTokenViolation: "exp" });
  });

  test.each<[violation: string, token: () => string | undefined]>([
    ["missing", () => undefined],
    ["missing", () => ""],
    ["malformed", () => canary],
    ["malformed", () => `${canary}.x.y`],
    ["malformed", () => "a.b.c.d.e"],
    ["alg", () => key.sign(claims(), { alg: "none" })],
    ["alg", () => key.sign(claims(), { alg: "HS256" })],
    ["malformed", () => key.sign(claims(), { crit: ["x"] })],
    ["signature", () => forged.sign(claims())],
    ["unknown_key", () => next.sign(claims())],
    ["signature", () => key.sign(claims(), { alg: "RS384" })],
    ["signature", () => key.sign(claims(), { alg: "ES256" })],
    ["signature", () => key.sign(claims()).replace(/\.[^.]+$/, ".")],
  ])("is refused: %s", async (idTokenViolation, token) => {
    idToken = token();
    expect(await failure(openId())).toMatchObject({
      reason: "id_token_verification_failed",
      idTokenViolation,
    });
  });

  test("a key that was rotated a moment ago is fetched at once", async () => {
    idToken = key.sign(claims());
    await openId();
    jwks = { keys: [key.jwk, next.jwk] };
    idToken = next.sign(claims());
    expect((await openId()).subject).toBe("ada");
    expect(fetched()).toBe(2);
  });

  test("a key that the set lacks is called that, and whether it was fetched anew", async () => {
    idToken = next.sign(claims());
    const words = "id_token_verification_failed unknown_key: the provider's keys";
    expect((await failure(openId())).message).toContain(
      `${words} were fetched again and lack the one that it names`,
    );
    const again = await failure(openId());
    expect(again.message).toContain(
      `${words} lack the one that it names, and were fetched too often to be fetched now`,
    );
    expect(again.idTokenViolation).toBe("unknown_key");
    const sendTokens = server.script;
    server.script = (response, request) =>
      (request.path === "/jwks" ? json({}, 503) : sendTokens)(response, request);
    idToken = next.sign(claims(), { kid: "k3" });
    expect((await failure(openId())).message).toContain(
      "jwks_unavailable: the keys of the provider cannot be had: status 503",
    );
  });

  test("a wrong signature costs one fetch more, not a loop", async () => {
    idToken = key.sign(claims());
    await openId();
    idToken = forged.sign(claims());
    expect(await failure(openId())).toMatchObject({ idTokenViolation: "signature" });
    expect(fetched()).toBe(2);
  });

  test("a key that is too weak verifies nothing", async () => {
    jwks = { keys: [{ ...key.jwk, e: "AQ" }] };
    idToken = key.sign(claims());
    expect(await failure(openId())).toMatchObject({ idTokenViolation: "weak_key" });
  });

  test.each<[name: string, script: Script]>([
    ["a redirect", json("", 302, { location: "/elsewhere" })],
    ["a cut", hangUp],
  ])("cannot be verified while its keys answer %s", async (_name, script) => {
    const sendTokens = server.script;
    server.script = (response, request) =>
      (request.path === "/jwks" ? script : sendTokens)(response, request);
    idToken = key.sign(claims());
    expect(await failure(openId())).toMatchObject({ idTokenViolation: "jwks_unavailable" });
  });

  test("cannot be verified without a place for keys", async () => {
    idToken = key.sign(claims());
    expect(await failure(openId({ server: newAuthorizationServer({ jwksUrl: "" }) }))).toMatchObject({
      idTokenViolation: "jwks_unavailable",
    });
  });

  test("cannot be verified without an issuer, so nothing is sent", async () => {
    const violation = await failure(openId({ server: newAuthorizationServer({ issuer: "" }) }));
    expect(violation).toMatchObject({ kind: "rejected", idTokenViolation: "iss" });
    expect(server.requests).toHaveLength(0);
  });
});
