import { beforeEach, describe, expect, test } from "vitest";
import type { TokenSet } from "../../src/model/credentials/credential.js";
import { authorizationUrl } from "../../src/oauth/authorization_request.js";
import { processAuthorizationResponse } from "../../src/oauth/authorization_response.js";
import {
  type AuthorizationServer,
  fromDiscoveryDocument,
  manualAuthorizationServer,
} from "../../src/oauth/authorization_server.js";
import type { OAuthClient } from "../../src/oauth/client_authentication.js";
import { fetchDiscoveryDocument } from "../../src/oauth/discovery.js";
import { exchangeCode } from "../../src/oauth/grants/code_exchange.js";
import { refresh } from "../../src/oauth/grants/refresh_grant.js";
import { newCodeVerifier } from "../../src/oauth/pkce.js";
import { createOutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { Secret } from "../../src/runtime/secret.js";
import { Browser, consent } from "../fakes/browser.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { startOpenIdProvider } from "../fakes/openid_provider.js";
import { perTest } from "../lifetimes.js";

const redirectUri = "http://localhost:9/auth/callback";
const clock = new SystemClock();
const fetch = createOutboundFetch({ networks: loopbackNetworks });

const provider = perTest(() => startOpenIdProvider({ redirectUris: [redirectUri] }));
let server: AuthorizationServer;

beforeEach(async () => {
  server = fromDiscoveryDocument(provider.issuer, await fetchDiscoveryDocument(provider.issuer, fetch));
});

function client(kind: "post" | "basic" | "public"): OAuthClient {
  if (kind === "public") return { clientId: provider.clients.public.clientId, method: "none" };
  const { clientId, clientSecret } = provider.clients[kind];
  return { clientId, clientSecret: new Secret(clientSecret), method: `client_secret_${kind}` };
}

async function authorize(who: OAuthClient, scopes: string[], decision: "allow" | "deny" = "allow") {
  const secrets = { state: "st", nonce: "n".repeat(22), codeVerifier: newCodeVerifier() };
  const url = await authorizationUrl({ server, clientId: who.clientId, redirectUri, scopes, ...secrets });
  const page = await consent(new Browser(), url, decision, (each) => each.startsWith(redirectUri));
  const query = new URL(page.url).searchParams;
  return { ...secrets, query, response: processAuthorizationResponse(server, who.clientId, query, "st") };
}

async function connect(who: OAuthClient, scopes: string[]): Promise<TokenSet> {
  const { response, codeVerifier, nonce } = await authorize(who, scopes);
  if (response.kind !== "code") throw new Error(response.kind);
  const requireIdToken = scopes.includes("openid");
  return exchangeCode({
    server,
    client: who,
    params: response.params,
    redirectUri,
    codeVerifier,
    expectedNonce: nonce,
    requireIdToken,
    clock,
    fetch,
  });
}

const redeem = (who: OAuthClient, refreshToken: Secret | undefined) => {
  if (refreshToken === undefined) throw new Error("no refresh token");
  return refresh({ server, client: who, refreshToken, previousSubject: "ada", clock, fetch });
};

test("discovery finds what the provider has", () => {
  expect(server).toMatchObject({
    issuer: provider.issuer,
    authorizationEndpoint: provider.authorizationEndpoint,
    tokenEndpoint: provider.tokenEndpoint,
    revocationEndpoint: provider.revocationEndpoint,
    issParameterSupported: true,
  });
});

describe.each(["post", "basic", "public"] as const)("the client %s", (kind) => {
  test("connects, refreshes twice, and a rotated token is dead", async () => {
    const who = client(kind);
    const first = await connect(who, ["openid", "read"]);
    expect(first).toMatchObject({ subject: "ada", tokenType: "Bearer", expiresInMs: 3_600_000 });
    expect([...(first.scopes ?? [])].sort()).toEqual(["openid", "read"]);

    const second = await redeem(who, first.refreshToken);
    expect(second.idTokenViolation).toBeUndefined();
    expect(second.tokenSet.subject).toBe("ada");
    const third = await redeem(who, second.tokenSet.refreshToken);
    const accessTokens = [first, second.tokenSet, third.tokenSet].map(({ accessToken }) =>
      accessToken.reveal(),
    );
    expect(new Set(accessTokens).size).toBe(3);

    await expect(redeem(who, first.refreshToken)).rejects.toMatchObject({
      kind: "invalid_grant",
      oauthError: "invalid_grant",
      httpStatus: 400,
    });
  });
});

test("plain OAuth without openid, endpoints by hand", async () => {
  const { authorizationEndpoint: authUrl, tokenEndpoint: tokenUrl } = server;
  server = manualAuthorizationServer({ issuer: "", authUrl, tokenUrl, jwksUrl: "" });
  const tokenSet = await connect(client("post"), ["read"]);
  expect(tokenSet).toMatchObject({ scopes: ["read"], idToken: undefined, subject: undefined });
  expect((await redeem(client("post"), tokenSet.refreshToken)).tokenSet.refreshToken).toBeInstanceOf(Secret);
});

test("a person says no", async () => {
  const { response, query } = await authorize(client("post"), ["openid"], "deny");
  expect(query.get("iss")).toBe(provider.issuer);
  expect(response).toEqual({ kind: "error", error: "access_denied" });
});
