import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Daemon } from "../../src/daemon/daemon.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { failureOf } from "../daemon/errors.js";
import { type Clients, Place } from "../daemon/harness.js";
import { RestClient } from "../daemon/rest_client.js";
import { Browser } from "../fakes/browser.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { RelyingPartyProvider, relyingParty, unsigned } from "../fakes/relying_party_provider.js";
import { newSigningKey } from "../oauth/signing_key.js";

/** B4: endpoints by hand with `openid` among the scopes, as clients that know no `jwks_url` write them. */
let place: Place;
let daemon: Daemon;
let clients: Clients;
let rest: RestClient;
let provider: RelyingPartyProvider;
const clock = new ManualClock(Date.now());

beforeAll(async () => {
  place = await Place.make();
  daemon = await place.start(clock);
  clients = place.clients();
  rest = await RestClient.connect(place.httpUrl, place.apiKey);
});
afterAll(() => daemon.stop());
beforeEach(async () => {
  provider = await RelyingPartyProvider.start(() => clock.nowMs());
});
afterEach(() => provider.server.close());

/** In the old contract or in the new one: a profile is a profile. */
const contracts = {
  async legacy(issuer: string): Promise<string> {
    const { status, body } = await rest.post("/providers", {
      profile: {
        name: `hand-${new URL(provider.issuer).port}`,
        client_id: relyingParty.clientId,
        client_secret: relyingParty.clientSecret,
        auth_url: `${provider.issuer}/authorize`,
        token_url: `${provider.issuer}/token`,
        scopes: ["openid", "email"],
        ...(issuer === "" ? {} : { issuer }),
      },
    });
    expect(status).toBe(201);
    expect(body.message.includes("the id_token is not relied on")).toBe(issuer === "");
    return body.id;
  },
  async native(issuer: string): Promise<string> {
    const created = await clients.providers.createProvider({
      provider: {
        name: `hand-${new URL(provider.issuer).port}`,
        ...relyingParty,
        authUrl: `${provider.issuer}/authorize`,
        tokenUrl: `${provider.issuer}/token`,
        scopes: ["openid", "email"],
        issuer,
      },
    });
    return created.provider?.id ?? "";
  },
};

/** The whole walk of a person; answers the connection, whatever became of it. */
async function walk(providerId: string) {
  const { authUrl, connectionId } = await clients.connections.requestConnection({
    userId: "ada",
    provider: { case: "providerId", value: providerId },
  });
  await new Browser().get(authUrl);
  return await read(connectionId);
}

async function read(connectionId: string) {
  const { connection } = await clients.connections.getConnection({ connectionId });
  if (!connection) throw new Error("no connection");
  return connection;
}

describe.each(["legacy", "native"] as const)(
  "B4: a profile of the %s contract, openid by hand",
  (contract) => {
    test("with an issuer is verified by the keys that discovery names, and keeps its endpoints", async () => {
      provider.describe = (document) => ({
        ...document,
        authorization_endpoint: `${provider.issuer}/elsewhere`,
        token_endpoint: `${provider.issuer}/elsewhere`,
      });
      const connection = await walk(await contracts[contract](provider.issuer));
      expect(connection.status).toBe(ConnectionStatus.ACTIVE);
      const { token } = await clients.tokens.getToken({ connectionId: connection.id, includeIdToken: true });
      expect(token?.idToken).not.toBe("");
      expect([provider.discoveryRequests, provider.jwksRequests]).toEqual([1, 1]);
      expect(provider.authorizations[0]?.get("scope")).toBe("openid email");
      expect(provider.authorizations[0]?.get("nonce")).toMatch(/^\S{20,}$/);
    });

    test("without one asks for openid, and relies on no id_token", async () => {
      // It is of another issuer, for another client, unsigned and dead: nobody looks.
      provider.makeIdToken = () =>
        unsigned({ iss: "https://evil.example", aud: "x", sub: "mallory", exp: 1 });
      const connection = await walk(await contracts[contract](""));
      expect(connection.status).toBe(ConnectionStatus.ACTIVE);
      expect(provider.authorizations[0]?.get("scope")).toBe("openid email");
      const { status, body } = await rest.get(`/v1/token/${connection.id}`);
      expect([status, "id_token" in body, "id_token" in body.credentials]).toEqual([200, false, false]);
      // No subject came from it: the next one, of whomever, is no change of account.
      provider.makeRefreshedIdToken = (claims, { key }) => key.sign({ ...claims, sub: "somebody-else" });
      const { token } = await clients.tokens.refreshToken({ connectionId: connection.id });
      expect([token?.revision, token?.idToken]).toEqual([2n, ""]);
      expect((await read(connection.id)).problem).toBeUndefined();
      expect([provider.discoveryRequests, provider.jwksRequests]).toEqual([0, 0]);
    });
  },
);

describe("B4: an id_token is not trusted without keys", () => {
  const refused = async (providerId: string) => {
    const connection = await walk(providerId);
    expect(connection.status).toBe(ConnectionStatus.FAILED);
    expect(connection.problem?.reason).toBe("id_token_verification_failed");
    expect(await failureOf(clients.tokens.getToken({ connectionId: connection.id }))).toMatchObject({
      code: "FailedPrecondition",
    });
  };

  test("when the document names none", async () => {
    provider.describe = ({ jwks_uri: _, ...document }) => document;
    await refused(await contracts.native(provider.issuer));
  });

  test("when it is signed by another key than the published ones", async () => {
    const forged = newSigningKey("key-1");
    provider.makeIdToken = (claims) => forged.sign(claims);
    await refused(await contracts.native(provider.issuer));
  });

  test("when it is not signed", async () => {
    provider.makeIdToken = (claims) => unsigned(claims);
    await refused(await contracts.native(provider.issuer));
  });

  test("when the document is of another issuer, or there is none: nobody is sent anywhere", async () => {
    provider.describe = (document) => ({ ...document, issuer: "https://evil.example" });
    const providerId = await contracts.native(provider.issuer);
    expect(await failureOf(walk(providerId))).toMatchObject({
      code: "FailedPrecondition",
      reason: "PROVIDER_MISCONFIGURED",
    });
    await provider.server.close();
    expect(await failureOf(walk(providerId))).toMatchObject({ code: "Unavailable" });
    expect(provider.authorizations).toEqual([]);
  });
});
