import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { GrantType, TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { Place, World } from "./harness.js";
import { registered, requestOf } from "./requests.js";
import { ScriptedWorld } from "./scripted_world.js";

const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;
const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const path = join(temporaryFolder(), "robot.pem");
const environment = { NEXUS_SIGNING_KEY_FILES: `robot=${path}, none=/nonexistent/key.pem` };

describe("a client whose key is in a file, at oidc-provider", () => {
  const [first, second, stranger] = [rsa(), rsa(), rsa()];
  const world = perSuite(async () => {
    const keys = [first, second].map(({ publicKey }, index) => ({
      ...publicKey.export({ format: "jwk" }),
      ...{ kid: `key-${index}`, alg: "RS256", use: "sig" },
    }));
    const client = {
      ...{ client_id: "robot", token_endpoint_auth_method: "private_key_jwt" as const, jwks: { keys } },
      ...{ redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
    };
    return await World.make({ clients: [client] }, await Place.make(environment));
  });
  const register = (name: string, more: object = {}): Promise<string> =>
    registered(world.clients, {
      ...{ name, clientId: "robot", clientKeySource: "robot", scopes: ["read"] },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT,
      grantType: GrantType.CLIENT_CREDENTIALS,
      issuer: world.provider.issuer,
      enableDiscovery: true,
      ...more,
    });

  it("signs with what the file holds at each request, and tries again while it is not there", async () => {
    const { connections, tokens } = world.clients;
    writeFileSync(path, pem(first.privateKey));
    const { connection, connectionId } = await connections.requestConnection(
      requestOf(await register("robot")),
    );
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
    writeFileSync(path, pem(second.privateKey));
    expect((await tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    rmSync(path);
    expect(await failureOf(tokens.refreshToken({ connectionId }))).toMatchObject({ code: "Unavailable" });
    writeFileSync(path, pem(stranger.privateKey));
    world.clock.advance(3_600_000);
    expect(await failureOf(tokens.refreshToken({ connectionId }))).toMatchObject({
      code: "FailedPrecondition",
    });
    const log = world.place.logLines.join("");
    expect(log).toContain("the client key file robot cannot be read (ENOENT)");
    for (const text of [path, "PRIVATE KEY"]) expect(log).not.toContain(text);
  });

  it.each([
    [
      "a name that the settings lack",
      { clientKeySource: "other" },
      /NEXUS_SIGNING_KEY_FILES: there are robot, none/,
    ],
    ["a path", { clientKeySource: "/etc/shadow" }, /client_key_source/],
    ["a secret beside it", { clientSecret: pem(first.privateKey) }, /must be empty with client_key_source/],
    [
      "a client that signs nothing",
      { tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_POST, clientSecret: "s" },
      /unless the client signs/,
    ],
  ])("is refused with %s", async (_, more, why) => {
    const refused = await failureOf(register("refused", more));
    expect(refused.code).toBe("InvalidArgument");
    expect(refused.message).toMatch(why);
  });
});

describe("a grant that is signed by a key in a file", () => {
  const key = rsa();
  const world = perSuite(() => ScriptedWorld.make(environment));

  it("is one of a service account", async () => {
    writeFileSync(path, pem(key.privateKey));
    const providerId = await registered(world.clients, {
      ...{ name: "google", clientId: "robot@example.test", clientKeySource: "robot", scopes: ["read"] },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
      grantType: GrantType.JWT_BEARER,
      tokenUrl: `${world.provider.origin}/token`,
    });
    world.answerToken = () => json({ access_token: "minted", token_type: "Bearer", expires_in: 3600 });
    const { connection } = await world.clients.connections.requestConnection(requestOf(providerId));
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
    const assertion = world.tokenRequests.at(-1)?.form.get("assertion") ?? "";
    const currentDate = new Date(world.clock.nowMs());
    const { payload } = await jwtVerify(assertion, key.publicKey, { currentDate });
    expect(payload).toMatchObject({ iss: "robot@example.test", aud: `${world.provider.origin}/token` });
  });

  it("is one of a client that authenticates by a secret, too", async () => {
    writeFileSync(path, pem(key.privateKey));
    const providerId = await registered(world.clients, {
      ...{ name: "both", clientId: "robot", clientKeySource: "robot", clientSecret: "the secret of a robot" },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
      grantType: GrantType.JWT_BEARER,
      tokenUrl: `${world.provider.origin}/token`,
    });
    world.answerToken = () => json({ access_token: "minted", token_type: "Bearer", expires_in: 3600 });
    const { connection } = await world.clients.connections.requestConnection(requestOf(providerId));
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
    const { form } = world.tokenRequests.at(-1) ?? {};
    expect([form?.get("client_id"), form?.get("client_secret")]).toEqual(["robot", "the secret of a robot"]);
    const currentDate = new Date(world.clock.nowMs());
    const { payload } = await jwtVerify(form?.get("assertion") ?? "", key.publicKey, { currentDate });
    expect(payload.iss).toBe("robot");
  });

  it("is one of an installation of a GitHub App", async () => {
    writeFileSync(path, key.privateKey.export({ type: "pkcs1", format: "pem" }));
    const { provider } = await world.clients.providers.createProvider({
      provider: {
        ...{ name: "app", clientId: "Iv1.0123", clientKeySource: "robot" },
        tokenUrl: `${world.provider.origin}/token`,
      },
      template: "github-app",
      templateVariables: { installation_id: "12345678" },
    });
    expect(provider).toMatchObject({ clientSecretSet: false, clientKeySource: "robot" });
    world.answerToken = () =>
      json({ token: "ghs_1", expires_at: new Date(world.clock.nowMs() + 3_600_000).toISOString() });
    const request = { providerName: "app", userId: "ada" };
    expect((await world.clients.tokens.acquireToken(request)).result.case).toBe("token");
    const jwt = (world.tokenRequests.at(-1)?.headers["authorization"] ?? "").replace("Bearer ", "");
    const currentDate = new Date(world.clock.nowMs());
    const { payload } = await jwtVerify(jwt, key.publicKey, { currentDate });
    expect(payload.iss).toBe("Iv1.0123");
    writeFileSync(path, pem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey));
    const failure = await failureOf(world.clients.tokens.acquireToken({ ...request, label: "ec" }));
    expect(failure).toMatchObject({ reason: "PROVIDER_MISCONFIGURED" });
    expect(world.place.logLines.join("")).toContain("the client key file robot does not sign by RS256");
  });
});
