import { generateKeyPairSync, type JsonWebKey, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConnectionStatus, ProviderRevocation } from "../../src/gen/nexus/v1/connection_pb.js";
import {
  GrantType,
  TokenEndpointAuthMethod,
  TokenRequestFormat,
} from "../../src/gen/nexus/v1/provider_pb.js";
import type { ClientRegistration } from "../fakes/openid_provider.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { failureOf } from "./errors.js";
import { Place, World } from "./harness.js";
import { consented, machineAt, registered, requestOf } from "./requests.js";
import { goodTokens, ScriptedWorld } from "./scripted_world.js";

const machine = {
  client_id: "machine",
  client_secret: "a secret: %&+ of the machine, long enough",
  token_endpoint_auth_method: "client_secret_basic" as const,
  redirect_uris: [],
  response_types: [],
  grant_types: ["client_credentials"],
};

describe("client credentials at oidc-provider", () => {
  const world = perSuite(() => World.make({ clients: [machine] }));

  function register(name: string, more: object = {}): Promise<string> {
    return registered(world.clients, {
      name,
      clientId: machine.client_id,
      clientSecret: machine.client_secret,
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
      ...machineAt(world.provider),
      ...more,
    });
  }

  it("connects by minting once, and no person sees a link", async () => {
    const providerId = await register("machine");
    const answer = await world.clients.connections.requestConnection(requestOf(providerId));

    expect(answer).toMatchObject({
      authUrl: "",
      state: "",
      redirectUri: "",
      scopes: ["read"],
    });
    expect(answer.connection).toMatchObject({
      id: answer.connectionId,
      status: ConnectionStatus.ACTIVE,
      refreshable: true,
      grantedScopes: ["read"],
      revision: 1n,
    });
    const { tokenRequests } = world.provider;
    expect(tokenRequests).toMatchObject([
      { grantType: "client_credentials", clientId: "machine", status: 200 },
    ]);
    const { provider } = await world.clients.providers.getProvider({
      key: { case: "id", value: providerId },
    });
    expect(provider).toMatchObject({ redirectUri: "", grantType: GrantType.CLIENT_CREDENTIALS });
  });

  it("answers a token to whoever acquires it by name: one connection and one mint, however many ask", async () => {
    await register("many");
    const before = world.provider.tokenRequests.length;
    const request = { providerName: "many", userId: "ada" };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => world.clients.tokens.acquireToken(request)),
    );
    const tokens = answers.map(({ result }) =>
      result.case === "token" ? result.value.credentials["access_token"] : result.case,
    );
    expect(new Set(tokens).size).toBe(1);
    expect(world.provider.tokenRequests.length - before).toBe(1);
  });

  it("mints with more scopes for whoever needs them, and renews with all of them", async () => {
    await register("wider");
    const acquire = async (scopes: string[]) => {
      const request = { providerName: "wider", userId: "ada", scopes };
      const { result } = await world.clients.tokens.acquireToken(request);
      if (result.case !== "token") throw new Error(result.case);
      return result.value;
    };
    expect((await acquire([])).grantedScopes).toEqual(["read"]);
    expect((await acquire(["write"])).grantedScopes).toEqual(["read", "write"]);
    const count = world.provider.tokenRequests.length;
    expect((await acquire(["write"])).revision).toBe(2n);
    expect(world.provider.tokenRequests).toHaveLength(count);
  });

  it("has nothing to import", async () => {
    const providerId = await register("fixed");
    const imported = world.clients.connections.importConnection({
      userId: "ada",
      providerId,
      refreshToken: "r",
    });
    expect(await failureOf(imported)).toMatchObject({ code: "InvalidArgument", fields: ["provider_id"] });
  });
});

const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ecKey = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicJwk = (key: KeyObject, more: object): JsonWebKey => ({
  ...key.export({ format: "jwk" }),
  ...more,
});
const jwks = {
  keys: [
    publicJwk(rsaKey.publicKey, { kid: "rsa-1", use: "sig" }),
    publicJwk(ecKey.publicKey, { kid: "ec-1", use: "sig" }),
  ],
};
const grants = { redirect_uris: [], response_types: [], grant_types: ["client_credentials"] };

describe("a client that signs, at oidc-provider", () => {
  const world = perSuite(async () => {
    const place = await Place.make();
    const personRedirectUri = `${place.config.publicUrl}/auth/callback/person`;
    const signer = (client_id: string, more: Partial<ClientRegistration> = {}): ClientRegistration => ({
      ...{ ...grants, client_id, token_endpoint_auth_method: "private_key_jwt", jwks, ...more },
    });
    const clients: ClientRegistration[] = [
      signer("signs-rs"),
      signer("signs-ps", { token_endpoint_auth_signing_alg: "PS256" }),
      signer("signs-es", { token_endpoint_auth_signing_alg: "ES256" }),
      {
        ...grants,
        client_id: "signs-hs",
        client_secret: machine.client_secret,
        token_endpoint_auth_method: "client_secret_jwt",
      },
      signer("person", {
        redirect_uris: [personRedirectUri],
        response_types: ["code"],
        grant_types: ["authorization_code", "refresh_token"],
      }),
    ];
    return await World.make({ clients }, place);
  });
  const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;
  const { PRIVATE_KEY_JWT, CLIENT_SECRET_JWT } = TokenEndpointAuthMethod;

  function register(name: string, clientSecret: string, more: object = {}): Promise<string> {
    return registered(world.clients, {
      name,
      clientId: name,
      clientSecret,
      tokenEndpointAuthMethod: PRIVATE_KEY_JWT,
      ...machineAt(world.provider),
      ...more,
    });
  }

  it.each([
    ["signs-rs", pem(rsaKey.privateKey), { oauth2Options: { clientKeyId: "rsa-1" } }],
    ["signs-ps", pem(rsaKey.privateKey), { oauth2Options: { clientSigningAlg: "PS256" } }],
    ["signs-es", JSON.stringify({ ...ecKey.privateKey.export({ format: "jwk" }), kid: "ec-1" }), {}],
    ["signs-hs", machine.client_secret, { tokenEndpointAuthMethod: CLIENT_SECRET_JWT }],
  ])("mints, mints anew and revokes as %s: the same proof at each endpoint", async (name, secret, more) => {
    const providerId = await register(name, secret, more);
    const { connection, connectionId } = await world.clients.connections.requestConnection(
      requestOf(providerId),
    );
    expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
    expect((await world.clients.tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    const revoked = await world.clients.connections.revokeConnection({ connectionId });
    expect(revoked.connection?.providerRevocation).toBe(ProviderRevocation.DONE);
  });

  it("is refused by a provider that knows another key, and accepted once the key is the right one", async () => {
    await world.clients.providers.deleteProvider({
      id:
        (await world.clients.providers.getProvider({ key: { case: "name", value: "signs-rs" } })).provider
          ?.id ?? "",
    });
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const providerId = await register("signs-rs", pem(other.privateKey));
    const failure = await failureOf(world.clients.connections.requestConnection(requestOf(providerId)));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(failure.message).toContain("invalid_client");
    const { connections } = await world.clients.connections.listConnections({ providerId });
    await world.clients.providers.updateProvider({
      provider: { id: providerId, clientSecret: pem(rsaKey.privateKey) },
      updateMask: { paths: ["client_secret"] },
    });
    const again = await world.clients.connections.requestConnection(requestOf(providerId));
    expect(connections.map(({ id }) => id)).toEqual([again.connectionId]);
    expect(again.connection?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("exchanges the code of a person's consent, and redeems the refresh token", async () => {
    const provider = {
      name: "person",
      clientId: "person",
      clientSecret: pem(rsaKey.privateKey),
      tokenEndpointAuthMethod: PRIVATE_KEY_JWT,
      issuer: world.provider.issuer,
      enableDiscovery: true,
      scopes: ["openid"],
    };
    const created = await world.clients.providers.createProvider({ provider });
    expect(created.redirectUri).toMatch(/\/auth\/callback\/person$/);
    const connectionId = await consented(world.clients, requestOf("person"), world.browser);
    expect((await world.clients.tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
  });

  it("says at once which field holds a key that cannot sign", async () => {
    expect(await failureOf(register("bad", "no key"))).toMatchObject({
      code: "InvalidArgument",
      fields: ["provider.client_secret"],
    });
    const options = { oauth2Options: { clientSigningAlg: "ES256" } };
    expect(await failureOf(register("bad", pem(rsaKey.privateKey), options))).toMatchObject({
      fields: ["provider.oauth2_options.client_signing_alg"],
    });
  });
});

describe("client credentials at a server of one's own ways", () => {
  const world = perSuite(() => ScriptedWorld.make());

  it("repeats scope, audience, resource and headers, in JSON where the provider wants it", async () => {
    const providerId = await registered(world.clients, {
      name: "json",
      clientId: "the-client",
      clientSecret: "the-client-secret",
      grantType: GrantType.CLIENT_CREDENTIALS,
      tokenUrl: `${world.provider.origin}/token`,
      scopes: ["read", "write"],
      oauth2Options: {
        tokenRequestFormat: TokenRequestFormat.JSON,
        tokenParams: { audience: "https://api.example/" },
        resource: "https://api.example/v1",
        tokenHeaders: { "X-Tenant": "t1" },
      },
    });
    world.answerToken = () => json({ access_token: "minted", refresh_token: "unwanted", expires_in: 600 });
    const { connectionId } = await world.clients.connections.requestConnection(requestOf(providerId));
    await world.clients.tokens.refreshToken({ connectionId });
    const bodies = world.tokenRequests.map(({ body, headers }) => [JSON.parse(body), headers["x-tenant"]]);
    const expected = {
      grant_type: "client_credentials",
      client_id: "the-client",
      client_secret: "the-client-secret",
      scope: "read write",
      audience: "https://api.example/",
      resource: "https://api.example/v1",
    };
    expect(bodies).toEqual([
      [expected, "t1"],
      [expected, "t1"],
    ]);
  });

  it("answers over REST without a link", async () => {
    world.answerToken = goodTokens();
    const id = await world.register({ name: "rest", auth_url: "", grant_type: "client_credentials" });
    const { status, body } = await world.rest.post("/v1/request-connection", {
      user_id: "ada",
      provider_id: id,
    });
    expect([status, body.authUrl, body.state]).toEqual([200, "", ""]);
    expect((await world.token(body.connection_id)).status).toBe(200);
  });
});

describe("a server without an authorization endpoint", () => {
  const world = perSuite(() => ScriptedWorld.make());
  const discovered = (more: object = {}) => {
    const issuer = world.provider.origin;
    world.documents.set("/.well-known/openid-configuration", () => ({
      issuer,
      token_endpoint: `${issuer}/token`,
      device_authorization_endpoint: `${issuer}/device`,
    }));
    return { clientId: "machine", clientSecret: "a secret", issuer, enableDiscovery: true, ...more };
  };

  it("serves machines", async () => {
    const grant = { name: "machine", grantType: GrantType.CLIENT_CREDENTIALS };
    const provider = discovered(grant);
    const created = await world.clients.providers.createProvider({ provider });
    expect(created.warnings).toEqual([]);
    const answer = await world.clients.connections.requestConnection(requestOf("machine"));
    expect(answer.connection?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("serves devices, and sends no browser anywhere", async () => {
    const { warnings } = await world.clients.providers.createProvider({
      provider: discovered({ name: "op" }),
    });
    expect(warnings.join()).toContain("authorization_endpoint");
    const { connections } = world.clients;
    expect(await failureOf(connections.requestConnection(requestOf("op")))).toMatchObject({
      code: "FailedPrecondition",
      reason: "PROVIDER_MISCONFIGURED",
    });
    world.api.set(
      "/device",
      json({ device_code: "d", user_code: "U", verification_uri: "https://op.example/d", expires_in: 60 }),
    );
    const device = await connections.requestConnection(requestOf("op", { device: true }));
    expect(device.userCode).toBe("U");
  });
});
