import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { claimsOf } from "../../src/oauth/jwt.js";
import { consent } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { Place, World } from "./harness.js";
import { registered, requestOf } from "./requests.js";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...publicKey.export({ format: "jwk" }), kid: "signer", use: "sig" };
const clientSecret = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
const byKey = {
  ...{ clientId: "signer", clientSecret },
  tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT,
};

async function worldOf(signedFlow: "supported" | "required", more: object = {}): Promise<World> {
  const place = await Place.make();
  const redirectUris = ["signed", "unsigned", "by-secret"].map(
    (name) => `${place.config.publicUrl}/auth/callback/${name}`,
  );
  const client = {
    ...{ client_id: "signer", token_endpoint_auth_method: "private_key_jwt" as const, jwks: { keys: [key] } },
    redirect_uris: redirectUris,
  };
  return await World.make({ signedFlow, clients: [client], ...more }, place);
}

const profileOf = ({ provider }: World, name: string, more: object = {}) => ({
  ...{ name, issuer: provider.issuer, enableDiscovery: true, scopes: ["openid", "offline_access"] },
  ...byKey,
  ...more,
});

const locationOf = async (authUrl: string): Promise<URLSearchParams> =>
  new URL((await fetch(authUrl, { redirect: "manual" })).headers.get("location") ?? "").searchParams;

describe("a signed request and a signed response, at oidc-provider", () => {
  const world = perSuite(() => worldOf("supported"));
  const options = { oauth2Options: { signAuthorizationRequests: true, responseMode: "jwt" } };

  it("carry a consent, and nothing of it stands in a URL unsigned", async () => {
    const providerId = await registered(world.clients, profileOf(world, "signed", options));
    const { authUrl, connectionId } = await world.clients.connections.requestConnection(
      requestOf(providerId),
    );
    const sent = await locationOf(authUrl);
    expect([...sent.keys()]).toEqual(["client_id", "request"]);
    expect(claimsOf(sent.get("request") ?? "")).toMatchObject({
      ...{ iss: "signer", aud: world.provider.issuer, response_type: "code", response_mode: "jwt" },
      ...{ scope: "openid offline_access", code_challenge_method: "S256", state: expect.any(String) },
    });
    const isCallback = (url: string): boolean => url.includes("/auth/callback/");
    const { url } = await consent(world.browser, authUrl, "allow", isCallback);
    const { searchParams } = new URL(url);
    expect([...searchParams.keys()]).toEqual(["response"]);
    expect((await world.browser.get(url)).status).toBe(200);
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE, refreshable: true });
    expect((await world.clients.tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
  });

  it("tell of a denial, too", async () => {
    const { connections } = world.clients;
    const { authUrl, connectionId } = await connections.requestConnection(
      requestOf("signed", { label: "denied" }),
    );
    await consent(world.browser, authUrl, "deny");
    const { connection } = await connections.getConnection({ connectionId });
    expect(connection?.problem?.reason).toBe("access_denied");
  });

  it.each([
    ["unsigned", "code=c&state=STATE", "it is not signed"],
    ["by nobody's key", "response=JWT", "no key of the provider verifies its signature"],
  ])("end the consent where the response is %s", async (label, answer, words) => {
    const { connections } = world.clients;
    const { authUrl, connectionId } = await connections.requestConnection(requestOf("signed", { label }));
    const state = new URL(authUrl).searchParams.get("state") ?? "";
    // The browser that began it comes back.
    await world.browser.get(authUrl, (url) => url.startsWith(world.provider.issuer));
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const jwt = `${part({ alg: "RS256" })}.${part({ iss: world.provider.issuer, aud: "signer", exp: 9e9, state, code: "c" })}.AAAA`;
    const query = answer.replace("STATE", state).replace("JWT", jwt);
    const page = await world.browser.get(`${world.place.config.publicUrl}/auth/callback/signed?${query}`);
    expect(page.status).toBe(400);
    expect((await connections.getConnection({ connectionId })).connection?.problem).toMatchObject({
      reason: "invalid_authorization_response",
      message: expect.stringContaining(words),
    });
  });

  it.each([
    [
      { tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC },
      "oauth2_options.sign_authorization_requests: needs token_endpoint_auth_method private_key_jwt",
    ],
    [
      { issuer: "", enableDiscovery: false, authUrl: "https://a.example", tokenUrl: "https://a.example" },
      "oauth2_options.response_mode: needs issuer",
    ],
    [{ oauth2Options: { responseMode: "form_post" } }, "oauth2_options.response_mode"],
  ])("are refused in a profile that cannot have them", async (more, words) => {
    const profile = profileOf(world, "unsigned", { ...options, ...more });
    const { message } = await failureOf(world.clients.providers.createProvider({ provider: profile }));
    expect(message).toContain(words);
  });
});

describe("a server that takes signed requests only", () => {
  const world = perSuite(() => worldOf("required"));

  it("gets them, though the profile does not say so", async () => {
    const providerId = await registered(world.clients, profileOf(world, "unsigned"));
    const connectionId = await world.connect(providerId);
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is not asked for a client without a key, and the log says what to change", async () => {
    const { clientId, clientSecret: secret } = world.provider.clients.post;
    const { CLIENT_SECRET_POST } = TokenEndpointAuthMethod;
    const bySecret = { clientId, clientSecret: secret, tokenEndpointAuthMethod: CLIENT_SECRET_POST };
    const providerId = await registered(world.clients, profileOf(world, "by-secret", bySecret));
    const { authUrl } = await world.clients.connections.requestConnection(requestOf(providerId));
    expect((await world.browser.get(authUrl)).status).toBe(502);
    expect(world.place.logLines.join("")).toContain("set token_endpoint_auth_method to private_key_jwt");
  });
});

describe("a request that is signed and pushed", () => {
  const world = perSuite(() => worldOf("required", { requirePushedRequests: true }));

  it("is taken by both", async () => {
    const providerId = await registered(world.clients, profileOf(world, "signed"));
    const requested = await world.clients.connections.requestConnection(requestOf(providerId));
    expect([...(await locationOf(requested.authUrl)).keys()]).toEqual(["client_id", "request_uri"]);
    expect((await consent(world.browser, requested.authUrl)).status).toBe(200);
  });
});
