import { expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { GrantType, TokenEndpointAuthMethod } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { failureOf } from "../../../daemon/errors.js";
import { Place, World } from "../../../daemon/harness.js";
import { consented, machineAt, registered, requestOf } from "../../../daemon/requests.js";
import { perSuite } from "../../../lifetimes.js";

const algs = ["ES256", "RS256"];
const world = perSuite(async () => {
  const place = await Place.make();
  const jwks_uri = `${place.environment["NEXUS_PUBLIC_URL"]}/.well-known/jwks.json`.replace(
    "localhost",
    "127.0.0.1",
  );
  const clients = [...algs, "late"].map((alg) => ({
    client_id: `signer-${alg}`,
    token_endpoint_auth_method: "private_key_jwt" as const,
    ...(alg !== "late" && { token_endpoint_auth_signing_alg: alg }),
    jwks_uri,
    redirect_uris: [],
    response_types: [],
    grant_types: ["client_credentials"],
  }));
  const person = {
    ...{ client_id: "person", token_endpoint_auth_method: "private_key_jwt" as const, jwks_uri },
    redirect_uris: [`${place.config.redirectUri}/person`],
  };
  const accept = { headers: { accept: "application/json" } };
  const fetchOwn: typeof fetch = (url) => fetch(url, accept);
  return await World.make({ clients: [...clients, person], fetch: fetchOwn }, place);
});

const jwksUrl = (): string => `${world.place.environment["NEXUS_PUBLIC_URL"]}/.well-known/jwks.json`;
const published = async () => (await (await fetch(jwksUrl())).json()) as { keys: Record<string, string>[] };

function register(name: string, more: object = {}): Promise<string> {
  return registered(world.clients, {
    name,
    tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT,
    ...machineAt(world.provider),
    ...more,
  });
}

it("is published as a set that may be kept for minutes, of public members alone", async () => {
  const before = await fetch(jwksUrl());
  expect(before.status).toBe(200);
  expect(before.headers.get("content-type")).toBe("application/jwk-set+json");
  expect(before.headers.get("cache-control")).toBe("public, max-age=300");
  await register("published", { clientId: "signer-ES256" });
  const { keys } = await published();
  expect(keys.map((key) => Object.keys(key).sort())).toEqual([["crv", "kid", "kty", "use", "x", "y"]]);
  expect((await fetch(jwksUrl(), { method: "POST" })).status).toBe(405);
});

it.each(algs)("the certified server fetches the set, and takes what the daemon signs by %s", async (alg) => {
  const providerId = await register(`signed-${alg.toLowerCase()}`, {
    clientId: `signer-${alg}`,
    oauth2Options: { clientSigningAlg: alg },
  });
  const { connection } = await world.clients.connections.requestConnection(requestOf(providerId));
  expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
  const { provider } = await world.clients.providers.getProvider({ key: { case: "id", value: providerId } });
  expect(provider).toMatchObject({ clientSecretSet: false, clientSecret: "" });
});

it("a person's consent lives on by a key of the daemon: code, refresh and revocation", async () => {
  const providerId = await register("person", {
    ...{ clientId: "person", grantType: GrantType.AUTHORIZATION_CODE, scopes: ["openid"] },
  });
  const connectionId = await consented(world.clients, requestOf(providerId), world.browser);
  await world.clients.tokens.refreshToken({ connectionId });
  await world.clients.connections.revokeConnection({ connectionId });
  const used = world.provider.tokenRequests.filter(({ clientId }) => clientId === "person");
  expect(used.map(({ grantType, status }) => [grantType, status])).toEqual([
    ["authorization_code", 200],
    ["refresh_token", 200],
  ]);
});

it("a new key is published and does not sign; a compromised one is replaced at once, and the server finds the new one", async () => {
  const { clientKeys, connections, tokens } = world.clients;
  const providerId = await register("rotated", { clientId: "signer-ES256" });
  const { connectionId } = await connections.requestConnection(requestOf(providerId));
  const { keys: before, jwksUri } = await clientKeys.listClientKeys({});
  expect(jwksUri).toBe(jwksUrl());
  const signing = before.find(({ type, signing }) => type === "P-256" && signing)?.kid;

  const { keys } = await clientKeys.rotateClientKeys({ type: "P-256" });
  const ofCurve = keys.filter(({ type }) => type === "P-256");
  expect(ofCurve).toHaveLength(2);
  expect(ofCurve.filter(({ signing }) => signing).map(({ kid }) => kid)).toEqual([signing]);
  expect((await published()).keys.map(({ kid }) => kid).sort()).toEqual(keys.map(({ kid }) => kid).sort());
  for (const { publicJwk } of keys) expect(JSON.parse(publicJwk)).not.toHaveProperty("d");
  const again = await failureOf(clientKeys.rotateClientKeys({ type: "P-256" }));
  expect(again).toMatchObject({ code: "FailedPrecondition", reason: "CLIENT_KEY_ROTATING" });
  await tokens.refreshToken({ connectionId });

  await clientKeys.rotateClientKeys({ type: "P-256", compromised: true });
  const left = (await published()).keys.filter(({ crv }) => crv === "P-256");
  expect(left).toHaveLength(1);
  expect(left[0]?.["kid"]).not.toBe(signing);
  // For the other clients oidc-provider keeps the set for the 5 minutes that it may.
  const late = await register("late", { clientId: "signer-late" });
  const { connection } = await connections.requestConnection(requestOf(late));
  expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
  await world.restart();
  expect((await published()).keys.filter(({ crv }) => crv === "P-256")).toEqual(left);
});
