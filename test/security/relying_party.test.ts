import { afterEach, describe, expect, test } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { failureOf } from "../daemon/errors.js";
import { TestDaemon } from "../daemon/harness.js";
import { registered, requestOf } from "../daemon/requests.js";
import { Browser } from "../fakes/browser.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { RelyingPartyProvider, relyingParty } from "../fakes/relying_party_provider.js";
import { perSuite, perTest } from "../lifetimes.js";
import { type ConformanceModule, conformanceModules, notApplicable } from "./relying_party_modules.js";

const provider = perTest(() => RelyingPartyProvider.start(() => clock.nowMs()));
const clock = new ManualClock(Date.now());
const daemon = perSuite(() => TestDaemon.start({}, clock));
const clients = perSuite(() => daemon.clients);
afterEach(() => provider.server.close());

async function register({ profile }: ConformanceModule): Promise<string> {
  return await registered(clients, {
    name: `op-${new URL(provider.issuer).port}`,
    ...relyingParty,
    issuer: provider.issuer,
    enableDiscovery: true,
    scopes: ["openid"],
    ...profile,
  });
}

/** The whole walk of a person; answers the id of the connection, whatever became of it. */
async function walk(providerId: string, userId = "ada"): Promise<string> {
  const { authUrl, connectionId } = await clients.connections.requestConnection(
    requestOf(providerId, { userId }),
  );
  await new Browser().get(authUrl);
  return connectionId;
}

async function expectActive(connectionId: string): Promise<void> {
  const { connection } = await clients.connections.getConnection({ connectionId });
  expect(connection?.problem).toBeUndefined();
  expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
  const { token } = await clients.tokens.getToken({ connectionId });
  expect(token?.credentials["access_token"]).toMatch(/^[0-9a-f]{32}$/);
}

async function expectRefused(connectionId: string): Promise<void> {
  const { connection } = await clients.connections.getConnection({ connectionId });
  expect(connection?.status).toBe(ConnectionStatus.FAILED);
  expect(connection?.problem?.reason).toBe("id_token_verification_failed");
  expect(connection?.revision).toBe(0n);
  expect(await failureOf(clients.tokens.getToken({ connectionId }))).toMatchObject({
    code: "FailedPrecondition",
    reason: "CONNECTION_FAILED",
  });
}

/** Refreshes twice: the second shows that the rotated refresh token of the first was kept. */
async function expectRefreshed(connectionId: string, reason: string): Promise<void> {
  const before = (await clients.tokens.getToken({ connectionId })).token;
  for (let round = 1; round <= 2; round++) {
    const { token } = await clients.tokens.refreshToken({ connectionId });
    expect(token?.credentials["access_token"]).not.toBe(before?.credentials["access_token"]);
    expect(token?.revision).toBe((before?.revision ?? 0n) + BigInt(round));
  }
  const { events } = await clients.audit.listAuditEvents({ connectionId, eventType: "token_refreshed" });
  expect(events.map((event) => event.reason)).toEqual([reason, reason]);
  const { connection } = await clients.connections.getConnection({ connectionId });
  expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
}

/** The refresh brings a token that is not served: the one before is, and no other refresh is made. */
async function expectNotServed(connectionId: string): Promise<void> {
  const before = (await clients.tokens.getToken({ connectionId })).token;
  for (let round = 1; round <= 2; round++) {
    expect(await failureOf(clients.tokens.refreshToken({ connectionId }))).toMatchObject({
      code: "FailedPrecondition",
      reason: "ATTENTION_REQUIRED",
    });
    const { token } = await clients.tokens.getToken({ connectionId });
    expect(token?.credentials["access_token"]).toBe(before?.credentials["access_token"]);
    expect(token?.revision).toBe((before?.revision ?? 0n) + 1n);
  }
  const { connection } = await clients.connections.getConnection({ connectionId });
  expect(["account_changed", "id_token_verification_failed"]).toContain(connection?.problem?.reason);
  const { events } = await clients.audit.listAuditEvents({ connectionId, eventType: "token_refresh_fatal" });
  expect(events.map((event) => event.reason)).toEqual([connection?.problem?.reason]);
}

const expectVerdict: Readonly<Record<ConformanceModule["verdict"], (providerId: string) => Promise<void>>> = {
  active: async (id) => expectActive(await walk(id)),
  refused: async (id) => expectRefused(await walk(id)),
  profile_refused: async (id) => {
    const failure = await failureOf(walk(id));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(provider.authorizations).toEqual([]);
  },
  refreshed: async (id) => expectRefreshed(await walk(id), ""),
  not_served: async (id) => expectNotServed(await walk(id)),
};

describe.each(["basic", "config", "refresh", "beyond the three plans"] as const)(
  "OpenID conformance, relying party: %s",
  (plan) => {
    for (const module of conformanceModules.filter((candidate) => candidate.plan === plan)) {
      test(`${module.name}: ${module.verdict}`, async () => {
        if (module.idToken) provider.makeIdToken = module.idToken;
        if (module.refreshedIdToken) provider.makeRefreshedIdToken = module.refreshedIdToken;
        module.arrange?.(provider);
        const providerId = await register(module);
        await expectVerdict[module.verdict](providerId);
        if (module.again) {
          module.again(provider);
          await expectVerdict[module.verdict](providerId);
        }
        expect(provider.userInfoRequests).toEqual([]);
        for (const query of provider.authorizations) expectSoundRequest(query, module);
        for (const { headers, form } of provider.tokenRequests) {
          const isBasic = module.profile?.tokenEndpointAuthMethod === 2;
          expect(headers.authorization?.startsWith("Basic ") ?? false).toBe(isBasic);
          expect(form.has("client_secret")).toBe(!isBasic);
        }
      });
    }
  },
);

/** That of the profile: it does not announce itself in the authorization response. */
const redirectUris = /^http:\/\/localhost:\d+\/auth\/callback\/op-\d+$/;

/** What every module checks of an authentication request (OpenID Connect Core 1.0 section 3.1.2.1). */
function expectSoundRequest(query: URLSearchParams, { profile }: ConformanceModule): void {
  expect(Object.fromEntries(query)).toMatchObject({
    response_type: "code",
    client_id: relyingParty.clientId,
    redirect_uri: expect.stringMatching(redirectUris) as unknown,
    scope: (profile?.scopes ?? ["openid"]).join(" "),
    code_challenge_method: "S256",
  });
  expect(query.get("state")).toMatch(/^[\w-]{48}$/);
  for (const name of ["nonce", "code_challenge"]) expect(query.get(name)).toMatch(/^[\w-]{43}$/);
}

describe("the table of modules", () => {
  test("holds each module of the three plans once, and a reason for each that is left out", () => {
    const count = (plan: ConformanceModule["plan"]): number =>
      new Set(conformanceModules.filter((module) => module.plan === plan).map(({ name }) => name)).size;
    expect([count("basic"), count("config"), count("refresh")]).toEqual([14, 6, 3]);
    const names = new Set(conformanceModules.map(({ name }) => name));
    for (const [name, reason] of Object.entries(notApplicable)) {
      expect(names).not.toContain(name);
      expect(reason).not.toBe("");
    }
  });

  test("the keys are fetched from jwks_uri, and anew when one is not known", async () => {
    const [sound] = conformanceModules;
    if (!sound) throw new Error("no module");
    const providerId = await register(sound);
    await expectVerdict.active(providerId);
    expect([provider.discoveryRequests, provider.jwksRequests]).toEqual([1, 1]);
    await expectVerdict.active(providerId);
    expect([provider.discoveryRequests, provider.jwksRequests]).toEqual([1, 1]);
    provider.rotateKey();
    await expectVerdict.active(providerId);
    expect([provider.discoveryRequests, provider.jwksRequests]).toEqual([1, 2]);
  });
});
