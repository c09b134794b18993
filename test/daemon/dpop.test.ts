import { createHash } from "node:crypto";
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { DpopMode, GrantType, TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import type { Token } from "../../src/gen/nexus/v1/token_pb.js";
import { answerConsent, Browser, consent } from "../fakes/browser.js";
import { perSuite, perTest } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { foreignRefreshToken } from "./foreign_token.js";
import { World } from "./harness.js";
import { consented, registered, registeredAt, requestOf } from "./requests.js";

const machine = {
  client_id: "machine",
  client_secret: "a secret of the machine, long enough",
  token_endpoint_auth_method: "client_secret_basic" as const,
  redirect_uris: [],
  response_types: [],
  grant_types: ["client_credentials"],
};
const always = { oauth2Options: { dpop: DpopMode.ALWAYS } };

/** The thumbprint of the key that is proved. */
async function keyOf({ clients }: World, connectionId: string): Promise<string> {
  const asked = { connectionId, method: "GET", url: "https://api.example/" };
  const { jwk } = decodeProtectedHeader((await clients.tokens.createProof(asked)).proof);
  if (!jwk) throw new Error("no key");
  return await calculateJwkThumbprint(jwk);
}

/** A refresh brings this revision, bound to the key. */
async function refreshedTo(revision: bigint, { clients }: World, connectionId: string): Promise<void> {
  const { token } = await clients.tokens.refreshToken({ connectionId });
  expect(token).toMatchObject({ revision, tokenType: "DPoP" });
}

const accessTokenOf = (token: Token | undefined): string => token?.credentials["access_token"] ?? "";

/** A GET of the provider's user-info, as an agent makes it; the nonce that it answers is used from then on. */
async function userInfo(world: World, connectionId: string): Promise<number[]> {
  const { tokens } = world.clients;
  const { token } = await tokens.getToken({ connectionId });
  const url = world.provider.userinfoEndpoint;
  const statuses: number[] = [];
  let nonce = "";
  for (let tries = 0; tries < 2; tries++) {
    const { proof } = await tokens.createProof({ connectionId, method: "GET", url: `${url}?a=b#c`, nonce });
    const headers = { authorization: `DPoP ${accessTokenOf(token)}`, dpop: proof };
    const answer = await fetch(url, { headers });
    statuses.push(answer.status);
    nonce = answer.headers.get("dpop-nonce") ?? nonce;
    if (answer.ok) break;
  }
  return statuses;
}

describe.each([
  ["a confidential client", "post"],
  ["a public client, whose refresh token is bound too", "public"],
] as const)("DPoP at oidc-provider, which demands a nonce, as %s", (_name, kind) => {
  const world = perTest(() => World.make({ dpop: {} }));

  async function connected(more: object = {}): Promise<string> {
    const client = world.provider.clients[kind];
    const method =
      kind === "post" ? TokenEndpointAuthMethod.CLIENT_SECRET_POST : TokenEndpointAuthMethod.NONE;
    const secret = "clientSecret" in client ? client.clientSecret : "";
    await registeredAt(world.provider, world.clients, {
      ...{ clientId: client.clientId, clientSecret: secret, tokenEndpointAuthMethod: method },
      scopes: ["openid", "offline_access"],
      ...always,
      ...more,
    });
    return await consented(world.clients, requestOf("op"));
  }

  it("binds the token at the consent, and says so", async () => {
    const connectionId = await connected();
    const { token } = await world.clients.tokens.getToken({ connectionId });
    expect(token).toMatchObject({ tokenType: "DPoP", revision: 1n });
    expect(token?.strategy?.kind).toMatchObject({
      case: "oauth2",
      value: { headerName: "Authorization", valuePrefix: "DPoP ", credentialField: "access_token" },
    });
    // The first was refused for its nonce, and the code was not used up by it.
    expect(world.provider.tokenRequests.map(({ status }) => status)).toEqual([400, 200]);
    expect(await userInfo(world, connectionId)).toEqual([401, 200]);
  });

  it("refreshes with the nonce that it knows, over a restart with the same key", async () => {
    const connectionId = await connected();
    const first = await keyOf(world, connectionId);
    await refreshedTo(2n, world, connectionId);
    expect(world.provider.tokenRequests.map(({ status }) => status)).toEqual([400, 200, 200]);
    // The sealing key is another one from here on.
    await world.clients.keyring.addKey({});
    await world.clients.keyring.rotateKeyring({});
    await world.restart();
    await refreshedTo(3n, world, connectionId);
    // A restart forgets the nonce, and learns it within the same refresh.
    expect(world.provider.tokenRequests.map(({ status }) => status)).toEqual([400, 200, 200, 400, 200]);
    expect(await keyOf(world, connectionId)).toBe(first);
    expect(await userInfo(world, connectionId)).toEqual([401, 200]);
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
    expect(connection?.problem).toBeUndefined();
  });

  it("keeps the key of a bound grant when the profile wants none any more, until the next consent", async () => {
    const connectionId = await connected();
    const { providers, tokens } = world.clients;
    const { provider } = await providers.getProvider({ key: { case: "name", value: "op" } });
    await providers.updateProvider({
      provider: { id: provider?.id ?? "", oauth2Options: { dpop: DpopMode.NEVER } },
      updateMask: { paths: ["oauth2_options"] },
    });
    expect((await tokens.refreshToken({ connectionId })).token).toMatchObject({ tokenType: "DPoP" });
    await consented(world.clients, requestOf("op", { connectionId }));
    expect((await tokens.getToken({ connectionId })).token).toMatchObject({ tokenType: "Bearer" });
  });

  it("keeps the key of a consent that waits for its confirmation", async () => {
    const returnUrl = "http://127.0.0.1:3999/back";
    const connectionId = await connected();
    const { connections, tokens } = world.clients;
    const again = requestOf("op", { connectionId, returnUrl, requireConfirmation: true });
    const { authUrl } = await connections.requestConnection(again);
    const { url } = await consent(new Browser(), authUrl, "allow", (each) => each.startsWith(returnUrl));
    await world.restart();
    const completionCode = new URL(url).searchParams.get("completion_code") ?? "";
    await connections.confirmConnection({ connectionId, completionCode });
    expect((await tokens.getToken({ connectionId })).token).toMatchObject({
      revision: 2n,
      tokenType: "DPoP",
    });
    expect(await userInfo(world, connectionId)).toEqual([401, 200]);
    expect((await tokens.refreshToken({ connectionId })).token?.revision).toBe(3n);
  });

  it("goes on with the same key at the next consent of the connection", async () => {
    const connectionId = await connected();
    const before = await keyOf(world, connectionId);
    await consented(world.clients, requestOf("op", { connectionId }));
    expect(await keyOf(world, connectionId)).toBe(before);
  });
});

describe("DPoP at oidc-provider", () => {
  const world = perTest(() => World.make({ dpop: { requireNonce: false }, clients: [machine] }));

  it("binds the code to the key, in the browser too", async () => {
    await registeredAt(world.provider, world.clients, always);
    const { authUrl, connectionId } = await world.clients.connections.requestConnection(requestOf("op"));
    const opened = await fetch(authUrl, { redirect: "manual" });
    const jkt = new URL(opened.headers.get("location") ?? "").searchParams.get("dpop_jkt");
    await consented(world.clients, requestOf("op", { connectionId }));
    expect(jkt).toMatch(/^[\w-]{43}$/);
    expect(world.provider.tokenRequests.map(({ status }) => status)).toEqual([200]);
  });

  it.each([
    ["left out", {}, "Bearer"],
    ["never", { oauth2Options: { dpop: DpopMode.NEVER } }, "Bearer"],
    ["auto, which the server announces", { oauth2Options: { dpop: DpopMode.AUTO } }, "DPoP"],
  ])("dpop %s", async (_name, more, tokenType) => {
    await registeredAt(world.provider, world.clients, more);
    const connectionId = await consented(world.clients, requestOf("op"));
    expect((await world.clients.tokens.getToken({ connectionId })).token).toMatchObject({ tokenType });
    const asked = { connectionId, method: "GET", url: "https://api.example/" };
    if (tokenType === "DPoP") return;
    expect(await failureOf(world.clients.tokens.createProof(asked))).toMatchObject({
      code: "FailedPrecondition",
      reason: "TOKEN_NOT_BOUND",
    });
  });

  it("proves the key of an imported refresh token", async () => {
    const { clientId, clientSecret } = world.provider.clients.post;
    const client = { clientId, clientSecret, scopes: ["openid", "offline_access"] };
    const id = await registeredAt(world.provider, world.clients, { ...client, ...always });
    const refreshToken = await foreignRefreshToken(world.provider, world.place.config.redirectUri);
    const { connections, tokens } = world.clients;
    const imported = await connections.importConnection({ providerId: id, userId: "ada", refreshToken });
    const connectionId = imported.connection?.id ?? "";
    expect((await tokens.getToken({ connectionId })).token).toMatchObject({ tokenType: "DPoP" });
    expect(await userInfo(world, connectionId)).toEqual([200]);
  });

  it("binds what a person gave before, from the next refresh on", async () => {
    const id = await registeredAt(world.provider, world.clients, { scopes: ["openid", "offline_access"] });
    const connectionId = await consented(world.clients, requestOf("op"));
    const { providers, tokens } = world.clients;
    expect((await tokens.getToken({ connectionId })).token).toMatchObject({ tokenType: "Bearer" });
    await providers.updateProvider({
      provider: { id, ...always },
      updateMask: { paths: ["oauth2_options"] },
    });
    expect((await tokens.refreshToken({ connectionId })).token).toMatchObject({ tokenType: "DPoP" });
    expect(await userInfo(world, connectionId)).toEqual([200]);
  });

  it("mints bound tokens for a machine, each for the same key", async () => {
    await registered(world.clients, {
      ...{ name: "machine", clientId: machine.client_id, clientSecret: machine.client_secret },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
      grantType: GrantType.CLIENT_CREDENTIALS,
      ...{ issuer: world.provider.issuer, enableDiscovery: true, scopes: ["read"] },
      ...always,
    });
    const { connectionId } = await world.clients.connections.requestConnection(requestOf("machine"));
    const { tokens } = world.clients;
    const asked = { connectionId, method: "POST", url: "https://api.example/" };
    const first = await tokens.createProof(asked);
    await refreshedTo(2n, world, connectionId);
    const second = await tokens.createProof(asked);
    expect([first.revision, second.revision]).toEqual([1n, 2n]);
    const keys = [first, second].map(({ proof }) => decodeProtectedHeader(proof).jwk);
    expect(keys[1]).toEqual(keys[0]);
  });

  it("refuses a token that is not bound where the profile says always, and revokes it", async () => {
    const plain = await World.make();
    try {
      await registeredAt(plain.provider, plain.clients, always);
      await expect(consented(plain.clients, requestOf("op"))).rejects.toThrow("did not exchange");
    } finally {
      await plain.close();
    }
  });
});

describe("DPoP by the other ways to a consent", () => {
  const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
  const television = {
    client_id: "television",
    token_endpoint_auth_method: "none" as const,
    redirect_uris: [],
    response_types: [],
    grant_types: [deviceGrant, "refresh_token"],
  };
  const pushing = perTest(() => World.make({ dpop: {}, requirePushedRequests: true }));
  const world = perTest(() => World.make({ dpop: {}, clients: [television] }));

  it("pushes the thumbprint of the key", async () => {
    await registeredAt(pushing.provider, pushing.clients, always);
    const connectionId = await consented(pushing.clients, requestOf("op"));
    expect(await userInfo(pushing, connectionId)).toEqual([401, 200]);
  });

  it("binds the token of a device, over a restart while the person is busy", async () => {
    await registered(world.clients, {
      ...{
        name: "op",
        clientId: television.client_id,
        tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
      },
      ...{ issuer: world.provider.issuer, enableDiscovery: true, scopes: ["openid", "offline_access"] },
      ...always,
    });
    const { connections } = world.clients;
    const { connectionId, verificationUri, userCode } = await connections.requestConnection(
      requestOf("op", { device: true }),
    );
    await world.restart();
    const browser = new Browser();
    const entered = await browser.submit(await browser.get(verificationUri), { user_code: userCode });
    await answerConsent(browser, await browser.submit(entered, { confirm: "yes" }));
    const status = async () => (await connections.getConnection({ connectionId })).connection?.status;
    await expect
      .poll(async () => {
        world.clock.advance(5_000);
        return await status();
      })
      .toBe(ConnectionStatus.ACTIVE);
    await refreshedTo(2n, world, connectionId);
    expect(await userInfo(world, connectionId)).toEqual([401, 200]);
  });
});

describe("a proof", () => {
  const world = perSuite(() => World.make({ dpop: {} }));

  it("is what RFC 9449 section 4.2 says", async () => {
    await registeredAt(world.provider, world.clients, always);
    const connectionId = await consented(world.clients, requestOf("op"), new Browser());
    const { tokens } = world.clients;
    const { token } = await tokens.getToken({ connectionId });
    const url = "https://API.example:8443/a%20b/c?q=1#f";
    const request = { connectionId, method: "patch", url, nonce: "n-0S6_WzA2Mj" };
    const answers = [await tokens.createProof(request), await tokens.createProof(request)];
    const [made, other] = answers.map(({ proof }) => proof);
    const { payload, protectedHeader } = await jwtVerify(made ?? "", EmbeddedJWK, {
      typ: "dpop+jwt",
      algorithms: ["ES256"],
    });
    expect(Object.keys(protectedHeader).sort()).toEqual(["alg", "jwk", "typ"]);
    expect(Object.keys(protectedHeader.jwk ?? {}).sort()).toEqual(["crv", "kty", "x", "y"]);
    expect(payload).toEqual({
      htm: "patch",
      htu: "https://api.example:8443/a%20b/c",
      nonce: "n-0S6_WzA2Mj",
      ath: createHash("sha256").update(accessTokenOf(token)).digest("base64url"),
      iat: Math.floor(world.clock.nowMs() / 1000),
      jti: expect.stringMatching(/^[\w-]{22,}$/),
    });
    expect(decodeJwt(other ?? "").jti).not.toBe(payload.jti);
    const [answer] = answers;
    expect(answer?.revision).toBe(token?.revision);
    expect(Number(answer?.expiresAt?.seconds) - (payload.iat ?? 0)).toBe(10);
    const log = world.place.logLines.join("\n");
    expect(log).not.toContain(made);
  });
});
