import { describe, expect, it, test } from "vitest";
import { clientMetadata, commonAuthMethods } from "../../../src/ext/mcp_servers/client_metadata.js";
import {
  deleteRegistration,
  RegistrationPutOff,
  RegistrationRefused,
  readRegistration,
  registerClient,
} from "../../../src/ext/mcp_servers/client_registration.js";
import { unpublishedAuthorizationServer } from "../../../src/ext/mcp_servers/mcp_discovery.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../../oauth/scripted_server.js";

const server = perTest(() => startScriptedServer());
const fetch = createOutboundFetch({ networks: loopbackNetworks });
const redirectUri = "http://localhost:8080/auth/callback/a";
const register = (method: Parameters<typeof clientMetadata>[1] = "client_secret_basic") =>
  registerClient(unpublishedAuthorizationServer(server.origin), clientMetadata(redirectUri, method), fetch);

test.each([
  [[], ["client_secret_basic", "none"]],
  [
    ["client_secret_basic", "client_secret_post"],
    ["client_secret_post", "client_secret_basic"],
  ],
  [
    ["none", "client_secret_basic", "client_secret_post"],
    ["client_secret_post", "client_secret_basic", "none"],
  ],
  [["private_key_jwt"], []],
])("of %j the daemon registers for the first of %j", (supported, methods) => {
  expect(commonAuthMethods(supported)).toEqual(methods);
});

test.each([
  [["none", "client_secret_post"], true, ["client_secret_post"]],
  [["none"], true, []],
  [["none", "client_secret_basic"], false, ["none"]],
  [["client_secret_basic"], false, []],
])("of %j a client that has a secret (%s) can use %j", (supported, hasSecret, methods) => {
  expect(commonAuthMethods(supported, hasSecret)).toEqual(methods);
});

test.each([
  ["http://localhost:8080/auth/callback/a", "native"],
  ["http://127.0.0.1:8080/auth/callback/a", "native"],
  ["https://nexus.example/auth/callback/a", "web"],
])("with the redirect URI %s the application is %s", (uri, type) => {
  expect(clientMetadata(uri, "none").application_type).toBe(type);
});

describe("a registration by keys that the daemon publishes", () => {
  const jwksUri = "https://nexus.example/.well-known/jwks.json";
  const metadata = clientMetadata("https://nexus.example/auth/callback/a", "private_key_jwt", jwksUri);
  const registerByKey = () => registerClient(unpublishedAuthorizationServer(server.origin), metadata, fetch);

  it("names them, and keeps no secret that comes all the same", async () => {
    server.script = json(
      { client_id: "c", token_endpoint_auth_method: "private_key_jwt", client_secret: "s" },
      201,
    );
    expect(await registerByKey()).toMatchObject({
      ...{ clientId: "c", method: "private_key_jwt" },
      ...{ clientSecret: undefined, secretExpiresAtMs: undefined },
    });
    expect(metadata).toMatchObject({ jwks_uri: jwksUri, token_endpoint_auth_signing_alg: "ES256" });
  });

  it("is refused where the server never heard of them", async () => {
    server.script = json(
      { client_id: "c", token_endpoint_auth_method: "private_key_jwt", client_secret: "s" },
      201,
    );
    await expect(register()).rejects.toThrow(/authentication that nexusd does not have/);
  });

  it("takes the secret of a server that registers the client for one", async () => {
    server.script = json(
      { client_id: "c", token_endpoint_auth_method: "client_secret_basic", client_secret: "s" },
      201,
    );
    const client = await registerByKey();
    expect([client.method, client.clientSecret?.reveal()]).toEqual(["client_secret_basic", "s"]);
  });
});

describe("a registration", () => {
  it("says what the daemon is, and reads what it became", async () => {
    server.script = json({ client_id: "c", client_secret: "s", client_secret_expires_at: 0 }, 201);
    const client = await register();
    expect(client).toMatchObject({
      clientId: "c",
      method: "client_secret_basic",
      secretExpiresAtMs: undefined,
    });
    expect(client.clientSecret?.reveal()).toBe("s");
    expect(client.management).toBeUndefined();
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", path: "/register" });
    expect(request?.headers).toMatchObject({ "content-type": "application/json" });
    const [body = ""] = [...(request?.form.keys() ?? [])];
    expect(JSON.parse(body)).toEqual({
      client_name: "nexusd",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_basic",
      application_type: "native",
    });
  });

  it.each([
    [
      "a secret that ends after all time",
      { client_secret: "s", client_secret_expires_at: 1e300 },
      { secretExpiresAtMs: undefined },
    ],
    ["a public client", {}, { method: "none", clientSecret: undefined }],
    [
      "the method of the server",
      { client_secret: "s", token_endpoint_auth_method: "client_secret_post" },
      { method: "client_secret_post" },
    ],
    [
      "a secret that is not used",
      { client_secret: "s", token_endpoint_auth_method: "none" },
      { method: "none", clientSecret: undefined },
    ],
    [
      "a secret that ends",
      { client_secret: "s", client_secret_expires_at: 1_900_000_000 },
      { secretExpiresAtMs: 1_900_000_000_000 },
    ],
    ["a status of 200", {}, { clientId: "c" }, 200],
  ])("takes %s", async (_name, more, expected, status = 201) => {
    server.script = json({ client_id: "c", ...more }, status);
    expect(await register()).toMatchObject(expected);
  });

  it.each([
    [
      "an error",
      { error: "invalid_redirect_uri", error_description: "CANARY \u001b[2J" },
      400,
      "answers invalid_redirect_uri (HTTP status 400)",
    ],
    ["an error that is no word", { error: "\u001b[2J" }, 400, "answers an error"],
    ["no client", {}, 201, "no registration"],
    ["no JSON", "<html>", 201, "no registration"],
    ["a client_id that cannot be sent", { client_id: "a\nb" }, 201, "no client_id"],
    [
      "a method that the daemon lacks",
      { client_id: "c", token_endpoint_auth_method: "tls_client_auth" },
      201,
      "authentication that nexusd",
    ],
    [
      "a secret that is missing",
      { client_id: "c", token_endpoint_auth_method: "client_secret_post" },
      201,
      "gives none",
    ],
    ["a refusal without words", "", 401, "no registration"],
  ])("is refused by %s", async (_name, body, status, says) => {
    server.script = json(body, status);
    const refusal = await register().catch((error: unknown) => error as Error);
    expect(refusal).toBeInstanceOf(RegistrationRefused);
    expect((refusal as Error).message).toContain(says);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect((refusal as Error).message).not.toMatch(/CANARY|[\u0000-\u001f]/);
  });

  it("is made once, and never sent again", async () => {
    server.script = (response) => response.socket?.destroy();
    await expect(register()).rejects.toMatchObject({ name: "OutboundError" });
    expect(server.requests).toHaveLength(1);
  });
});

describe("a registration that is managed (RFC 7592)", () => {
  const managed = (place: string, more: object = {}) => ({
    client_id: "c",
    registration_client_uri: place,
    registration_access_token: "rat",
    ...more,
  });
  const management = () => ({ url: `${server.origin}/register/c`, accessToken: new Secret("rat") });
  const at = () => unpublishedAuthorizationServer(server.origin);

  it("is kept with its access token", async () => {
    server.script = json(managed(`${server.origin}/register/c`), 201);
    const client = await register("none");
    expect(client.management?.url).toBe(`${server.origin}/register/c`);
    expect(client.management?.accessToken.reveal()).toBe("rat");
  });

  it.each([
    ["elsewhere", "https://evil.example/register/c", {}],
    ["nowhere", "register/c", {}],
    ["with a token that cannot be sent", "", { registration_access_token: "a\r\nb" }],
  ])("is not kept where it leads %s", async (_name, place, more) => {
    server.script = json(managed(place || `${server.origin}/register/c`, more), 201);
    expect((await register("none")).management).toBeUndefined();
  });

  it("is read, with a secret that is new", async () => {
    server.script = json({ client_id: "c", client_secret: "s2", client_secret_expires_at: 0 });
    const asked = clientMetadata(redirectUri, "client_secret_basic");
    const client = await readRegistration(at(), asked, management(), fetch);
    expect(client?.clientSecret?.reveal()).toBe("s2");
    expect(client?.management?.accessToken.reveal()).toBe("rat");
    expect(server.requests[0]).toMatchObject({ method: "GET", path: "/register/c" });
    expect(server.requests[0]?.headers.authorization).toBe("Bearer rat");
  });

  it("is unknown to a server that lost it", async () => {
    server.script = json({}, 401);
    const asked = clientMetadata(redirectUri, "none");
    expect(await readRegistration(at(), asked, management(), fetch)).toBeUndefined();
  });

  it.each([
    [400, RegistrationRefused],
    [403, RegistrationRefused],
    [404, RegistrationRefused],
    [405, RegistrationRefused],
    [429, RegistrationPutOff],
    [503, RegistrationPutOff],
  ])("is not lost where it is only not told: %i", async (status, expected) => {
    server.script = json({}, status);
    const asked = clientMetadata(redirectUri, "none");
    await expect(readRegistration(at(), asked, management(), fetch)).rejects.toThrow(expected);
  });

  it.each([
    [204, true],
    [404, true],
    [403, false],
    [500, false],
  ])("is deleted: %i is %s", async (status, isDeleted) => {
    server.script = (response) => response.writeHead(status).end();
    expect(await deleteRegistration(management(), fetch)).toBe(isDeleted);
    expect(server.requests[0]).toMatchObject({ method: "DELETE", path: "/register/c" });
  });
});

test("a server without a registration endpoint registers nobody", async () => {
  const authUrl = `${server.origin}/a`;
  const plain = manualAuthorizationServer({ issuer: "", authUrl, tokenUrl: authUrl, jwksUrl: "" });
  await expect(registerClient(plain, clientMetadata(redirectUri, "none"), fetch)).rejects.toThrow();
  expect(server.requests).toEqual([]);
});
