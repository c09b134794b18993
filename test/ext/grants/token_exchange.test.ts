import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { TokenTarget } from "../../../src/domain/reading/tokens.js";
import { onBehalfOf } from "../../../src/ext/grants/downscoping/token_exchanger.js";
import { actorOf, exchangeToken, tokenTypes } from "../../../src/ext/grants/token_exchange.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { OAuth2Options } from "../../../src/model/providers/profile_settings.js";
import { providerViolations } from "../../../src/model/providers/provider_profile.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../../oauth/scripted_server.js";
import { plainSettings } from "../../samples.js";

const issued = {
  access_token: "narrow",
  issued_token_type: tokenTypes.accessToken,
  token_type: "Bearer",
  expires_in: 60,
};
const target: TokenTarget = { audience: "", resource: "", scopes: [] };

test.each([
  ["client_secret_post", "rfc8693", "client", []],
  ["none", "rfc8693", "signed", []],
  ["none", "rfc8693", "client", ["provider.oauth2_options.actor_token"]],
  ["client_secret_post", "on_behalf_of", "signed", ["provider.oauth2_options.actor_token"]],
] as const)(
  "a client with %s and %s may have the actor token %s, or not",
  (method, exchange, actor, fields) => {
    const oauth2 = { ...plainSettings.oauth2, tokenExchange: exchange, actorToken: actor };
    const urls = { authUrl: "https://op.example/authorize", tokenUrl: "https://op.example/token" };
    const settings = { ...plainSettings, ...urls, tokenEndpointAuthMethod: method, oauth2 };
    expect(providerViolations(settings, method !== "none").map(({ field }) => field)).toEqual(fields);
  },
);

describe("at a token endpoint", () => {
  const server = perTest(() => startScriptedServer(json(issued)));
  const form = () => Object.fromEntries(server.requests.at(-1)?.form ?? []);

  function renewal(options: Partial<OAuth2Options> = {}) {
    const tokenUrl = `${server.origin}/token`;
    return {
      server: manualAuthorizationServer({ issuer: "", authUrl: "", tokenUrl, jwksUrl: "" }),
      client: {
        clientId: "agent",
        clientSecret: new Secret("the secret"),
        method: "client_secret_post" as const,
      },
      subjectToken: new Secret("wide"),
      actor: actorOf({
        name: "cert:spoke",
        onBehalfOf: { name: "key:planner", restrictions: [] },
      }),
      options: { ...plainOAuth2, ...options },
      clock: new ManualClock(1_900_000_000_000),
      fetch: createOutboundFetch({ networks: loopbackNetworks }),
    };
  }

  describe("exchangeToken", () => {
    const exchange = (more: Partial<TokenTarget> = {}, options: Partial<OAuth2Options> = {}) =>
      exchangeToken({ ...renewal(options), ...target, ...more });

    test("asks for an access token instead of an access token (RFC 8693 section 2.1)", async () => {
      const { tokenSet } = await exchange({ audience: "billing", scopes: ["read", "list"] });
      expect(form()).toEqual({
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: "wide",
        subject_token_type: tokenTypes.accessToken,
        requested_token_type: tokenTypes.accessToken,
        audience: "billing",
        scope: "read list",
        client_id: "agent",
        client_secret: "the secret",
      });
      expect(tokenSet.accessToken.reveal()).toBe("narrow");
      expect(tokenSet).toMatchObject({ expiresInMs: 60_000, refreshToken: undefined, tokenType: "Bearer" });
    });

    test("names who acts in a JWT of the client, the current actor outermost (RFC 8693 section 4.1)", async () => {
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const pem = keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
      const grant = renewal({ actorToken: "signed" });
      const ownKey = async () => ({ kid: "own", privateKey: new Secret(pem) });
      await exchangeToken({ ...grant, ...target, client: { ...grant.client, ownKey } });
      const { actor_token: jwt = "", actor_token_type: type, ...rest } = form();
      expect(type).toBe("urn:ietf:params:oauth:token-type:jwt");
      expect(rest).toMatchObject({ subject_token: "wide", client_secret: "the secret" });
      const [header = "", payload = "", signature = ""] = jwt.split(".");
      const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString());
      const publicJwk = keys.publicKey.export({ format: "jwk" });
      const key = {
        key: createPublicKey({ key: publicJwk, format: "jwk" }),
        dsaEncoding: "ieee-p1363",
      } as const;
      const signed = Buffer.from(`${header}.${payload}`);
      expect(verify("sha256", signed, key, Buffer.from(signature, "base64url"))).toBe(true);
      expect(read(header)).toEqual({ alg: "ES256", kid: "own", typ: "JWT" });
      expect(read(payload)).toEqual({
        ...{ iss: "agent", sub: "cert:spoke", act: { sub: "key:planner" }, aud: `${server.origin}/token` },
        ...{ iat: 1_900_000_000, exp: 1_900_000_120, jti: expect.any(String) },
      });
    });

    test("names the client by an access token of its own", async () => {
      server.script = (response, request) => {
        const isClients = request.form.get("grant_type") === "client_credentials";
        json(isClients ? { access_token: "own", token_type: "Bearer" } : issued)(response, request);
      };
      const { tokenSet } = await exchange({ scopes: ["read"] }, { actorToken: "client" });
      expect(tokenSet.accessToken.reveal()).toBe("narrow");
      expect(server.requests.map(({ form }) => form.get("scope"))).toEqual([null, "read"]);
      expect(form()).toMatchObject({ actor_token: "own", actor_token_type: tokenTypes.accessToken });
    });

    test("sends no exchange for a client that gets no token of its own", async () => {
      server.script = json({ error: "unauthorized_client" }, 400);
      await expect(exchange({}, { actorToken: "client" })).rejects.toMatchObject({ kind: "client" });
      expect(server.requests).toHaveLength(1);
    });

    test.each([
      [
        "the caller's resource instead of the profile's",
        { resource: "https://b.example" },
        "https://b.example",
      ],
      ["the profile's when only scopes are named", { scopes: ["read"] }, "https://a.example"],
      ["none beside another audience", { audience: "b" }, undefined],
    ])("sends %s", async (_, more, resource) => {
      await exchange(more, { resource: "https://a.example", resourceParameter: "auto" });
      expect(form()["resource"]).toBe(resource);
    });

    test.each([
      ["no issued_token_type", { issued_token_type: undefined }],
      ["a refresh token", { issued_token_type: "urn:ietf:params:oauth:token-type:refresh_token" }],
      ["N_A", { token_type: "N_A" }],
      ["another token type", { token_type: "mac" }],
      ["a token with a line break", { access_token: "a\nb" }],
    ])("refuses an answer with %s", async (_, change) => {
      server.script = json({ ...issued, ...change });
      await expect(exchange({ audience: "b" })).rejects.toMatchObject({
        kind: "rejected",
        reason: "malformed_response",
      });
    });

    test("drops what a downscoped token must not have", async () => {
      server.script = json({ ...issued, refresh_token: "forbidden", id_token: "x" });
      const { tokenSet } = await exchange({ audience: "b" });
      expect(tokenSet).toMatchObject({ refreshToken: undefined, idToken: undefined });
    });

    test.each([
      ["invalid_target", 400, "client"],
      ["invalid_request", 400, "client"],
      ["invalid_grant", 400, "invalid_grant"],
      ["server_error", 503, "transient"],
    ])("classifies %s by the one table", async (error, status, kind) => {
      server.script = json({ error }, status);
      await expect(exchange({ audience: "b" })).rejects.toMatchObject({ kind, httpStatus: status });
    });
  });

  test("onBehalfOf presents the token as the assertion, and asks as Entra wants it", async () => {
    const { issued_token_type: _, ...plain } = issued;
    server.script = json(plain);
    const scopes = ["https://graph.microsoft.com/.default"];
    const { tokenSet } = await onBehalfOf({ ...renewal({ resource: "https://a.example" }), scopes });
    expect(form()).toEqual({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: "wide",
      requested_token_use: "on_behalf_of",
      scope: "https://graph.microsoft.com/.default",
      client_id: "agent",
      client_secret: "the secret",
    });
    expect(tokenSet.accessToken.reveal()).toBe("narrow");
  });
});
