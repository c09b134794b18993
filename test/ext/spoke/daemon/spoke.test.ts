import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { LocalDaemon, started } from "../../../daemon/daemon_at.js";
import { failureOf } from "../../../daemon/errors.js";
import { socketTransport, Watcher } from "../../../daemon/harness.js";
import { consented, registered, registeredAt, requestOf } from "../../../daemon/requests.js";
import { SecretWatcher, secretsOf } from "../../../daemon/secret_watcher.js";
import { Browser, consent } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { perSuite } from "../../../lifetimes.js";
import { Samples, spokeExpressions } from "../../../observability/expressions.js";
import { certificateIdentity, fileOf, hubSettings, spokeName, spokeSettings } from "./spokes.js";

const provider = perSuite(() => startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3600 }));
const hub = perSuite(() => started(LocalDaemon, hubSettings()));
/** Of the spoke alone. */
const policy = `rules:
  - { when: caller.name == "key:barred", then: deny }
  - { then: allow }
`;
let spoke: LocalDaemon;
let adas: string;
let bobs: string;

beforeAll(async () => {
  await registeredAt(provider, hub.clients);
  adas = await consented(hub.clients, requestOf("op"), new Browser());
  bobs = await consented(hub.clients, requestOf("op", { userId: "bob" }), new Browser());
  spoke = await started(LocalDaemon, {
    ...spokeSettings([hub.place.httpUrl], certificateIdentity()),
    NEXUS_POLICY_FILE: fileOf(policy),
  });
});
afterAll(() => spoke?.stop());

const tokenAt = async ({ clients }: Pick<LocalDaemon, "clients">, connectionId = adas) =>
  (await clients.tokens.getToken({ connectionId })).token;
const statusOf = async ({ clients }: Pick<LocalDaemon, "clients">, connectionId: string) => {
  const watcher = new Watcher(clients.tokens, { connectionIds: [connectionId] });
  const event = await watcher.next();
  watcher.cancel();
  return event?.case === "state" ? event.value.status : event?.case;
};
/** Calls over the `http` listener of the spoke, with a key that was made there. */
const keyAt = async (
  name: string,
  restriction: { userIds?: string[]; providers?: string[]; connectionIds?: string[] },
) => (await spoke.clients.access.createApiKey({ name, role: Role.AGENT, restriction })).key;
const withKey = async (key: string, path: string, body: object = {}) => {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`${spoke.place.httpUrl}/nexus.v1.${path}`, init);
  return { status: answer.status, body: JSON.parse(await answer.text()) };
};

describe("a spoke of one daemon", () => {
  it("has a copy as soon as it is ready, and serves it as the hub does", async () => {
    const [own, hubs] = [await tokenAt(spoke), await tokenAt(hub)];
    expect(own).toEqual(hubs);
    const name = { providerName: "op", userId: "ada", label: "" };
    expect((await spoke.clients.tokens.getToken({ name })).token?.revision).toBe(1n);
    const acquired = await spoke.clients.tokens.acquireToken({ providerName: "op", userId: "ada" });
    expect(acquired.result.case).toBe("token");
    const status = await spoke.status();
    expect(status).toMatchObject({ hub: hub.place.httpUrl, connected: true, trouble: "" });
    const metrics = await (await fetch(`${spoke.opsUrl}/metrics`)).text();
    expect(metrics).toContain("nexus_spoke_connected 1");
    // All of that was answered here.
    expect(metrics).toContain('nexus_spoke_forwards_total{outcome="ok"} 0');
  });

  it("has the numbers that alerts and panels of spokes ask for, all of them asked for", async () => {
    const samples = new Samples(await (await fetch(`${spoke.opsUrl}/metrics`)).text());
    for (const [title, expr] of spokeExpressions) {
      // What counts the records of all daemons looks at their series to leave spokes out.
      if (!title.includes("Spoke")) expect(expr).toMatch(/nexus_(connections|providers_suspended)\{/);
      samples.expectToHold(expr);
    }
    const unasked = samples.unasked(spokeExpressions).filter((name) => name.startsWith("nexus_spoke_"));
    expect([spokeExpressions.length > 5, unasked]).toEqual([true, []]);
  });

  it("tells its watchers and proxies of a refresh at the hub", async () => {
    const proxy = new SecretWatcher(socketTransport(spoke.place.socket));
    const secret = `nexus/${adas}/bearer`;
    proxy.send([secret]);
    const first = await proxy.next();
    proxy.send([secret], first);
    const watcher = new Watcher(spoke.clients.tokens, {});
    const before = await watcher.state(({ connectionId }) => connectionId === adas);
    await hub.clients.tokens.refreshToken({ connectionId: adas });
    const after = await watcher.state(({ revision }) => revision > before.revision);
    expect(after.token?.credentials).toEqual((await tokenAt(hub))?.credentials);
    const token = after.token?.credentials["access_token"];
    expect(secretsOf(await proxy.next())).toEqual({ [secret]: `Bearer ${token}` });
    watcher.cancel();
    proxy.cancel();
  });

  it("has the hub refresh, reads what it wrote, and both have the read in their audit logs", async () => {
    const before = (await tokenAt(spoke))?.revision ?? 0n;
    const { token } = await spoke.clients.tokens.refreshToken({ connectionId: adas });
    expect(token?.revision).toBe(before + 1n);
    expect((await tokenAt(spoke))?.credentials).toEqual(token?.credentials);
    const atHub = await auditEvents(hub.clients, { eventType: "token_retrieved", connectionId: adas });
    const asked = atHub.find(({ revision }) => revision === before + 1n);
    expect(asked).toMatchObject({ principal: `cert:${spokeName}` });
    const own = await auditEvents(spoke.clients, { eventType: "token_retrieved", connectionId: adas });
    expect(own.map(({ principal, revision }) => [principal, revision])).toContainEqual([
      "owner",
      before + 1n,
    ]);
    expect((await spoke.clients.audit.verifyAuditLog({})).reason).toBe("");
  });

  it("has the hub make links, and has the token when the person is done", async () => {
    const asked = { providerName: "op", userId: "carol" };
    const { result } = await spoke.clients.tokens.acquireToken(asked);
    if (result.case !== "consent") throw new Error("no link");
    expect(result.value.authUrl).toContain(hub.place.config.publicUrl);
    const [requested] = await auditEvents(hub.clients, { connectionId: result.value.connectionId });
    expect(requested).toMatchObject({ eventType: "connection.requested", principal: `cert:${spokeName}` });
    expect(requested?.origin).toMatch(/^127\.0\.0\.1:\d+ for owner$/);
    expect(requested?.via).toEqual([requested?.principal]);
    const acquired = spoke.clients.tokens.acquireToken({ ...asked, wait: { seconds: 30n } });
    expect((await consent(new Browser(), result.value.authUrl)).status).toBe(200);
    expect((await acquired).result).toMatchObject({ case: "token", value: { revision: 1n } });
    expect((await tokenAt(spoke, result.value.connectionId))?.revision).toBe(1n);
  }, 60_000);

  it("serves static credentials by their strategy", async () => {
    const strategy = {
      kind: { case: "header" as const, value: { headerName: "X-Key", credentialField: "key" } },
    };
    const providerId = await registered(hub.clients, { name: "static", authType: AuthType.HEADER, strategy });
    const { connection } = await hub.clients.connections.importConnection({
      ...{ userId: "ada", providerId, credentials: { key: "k-of-ada" } },
    });
    const id = connection?.id ?? "";
    await expect.poll(() => statusOf(spoke, id)).toBe(ConnectionStatus.ACTIVE);
    const key = await keyAt("proxy", { userIds: ["ada"] });
    const answer = await fetch(`${spoke.place.httpUrl}/v1/authorize/${id}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect([answer.status, answer.headers.get("x-key")]).toEqual([200, "k-of-ada"]);
    expect((await tokenAt(spoke, id))?.credentials).toEqual({ key: "k-of-ada" });
  });

  it("keeps its own callers apart, whatever the hub lets the spoke see", async () => {
    const key = await keyAt("ada", { userIds: ["ada"], providers: ["op"] });
    const get = (connectionId: string) => withKey(key, "TokenService/GetToken", { connectionId });
    expect((await get(adas)).status).toBe(200);
    expect((await get(bobs)).body.code).toBe("not_found");
    const refused = await withKey(key, "TokenService/RefreshToken", { connectionId: bobs });
    expect(refused.body.code).toBe("not_found");
    const acquired = await withKey(key, "TokenService/AcquireToken", { providerName: "op", userId: "bob" });
    expect(acquired.body.code).toBe("permission_denied");
    const unknown = await withKey(key, "TokenService/AcquireToken", {
      providerName: "static",
      userId: "ada",
    });
    expect(unknown.body.code).toBe("not_found");
    const listed = await withKey(key, "ConnectionService/ListConnections");
    expect(listed.body.connections.map(({ id }: { id: string }) => id)).toEqual([adas]);
    const profiles = await withKey(key, "ProviderService/ListProviders");
    expect(profiles.body.providers.map(({ name }: { name: string }) => name)).toEqual(["op"]);
    const all = await spoke.clients.connections.listConnections({});
    expect(all.connections.length).toBeGreaterThan(2);
    // A provider that the copy has no connection of is known by name.
    const first = await withKey(key, "TokenService/AcquireToken", {
      providerName: "op",
      userId: "ada",
      label: "two",
    });
    expect(first.body.consent.reason).toBe("not_connected");
  });

  it("keeps a token that a hub gives from a caller whom its own rules give none", async () => {
    const key = await keyAt("barred", { userIds: ["gil"] });
    const asked = { providerName: "op", userId: "gil" };
    const acquire = () => withKey(key, "TokenService/AcquireToken", { ...asked, wait: "30s" });
    const { result } = await spoke.clients.tokens.acquireToken(asked);
    if (result.case !== "consent") throw new Error("no link");
    const refused = { status: 403, body: expect.objectContaining({ code: "permission_denied" }) };
    // The hub gives the token to the spoke when the person is done.
    const acquiring = acquire();
    expect((await consent(new Browser(), result.value.authUrl)).status).toBe(200);
    expect(await acquiring).toMatchObject(refused);
    const { connectionId } = result.value;
    expect(await acquire()).toMatchObject(refused);
    expect(await withKey(key, "TokenService/RefreshToken", { connectionId })).toMatchObject(refused);
    expect((await tokenAt(hub, connectionId))?.revision).toBe(1n);
    const events = await auditEvents(spoke.clients, { connectionId });
    const own = events.filter(({ principal }) => principal === "key:barred");
    expect(new Set(own.map(({ eventType }) => eventType))).toEqual(new Set(["token_retrieval_failed"]));
  }, 60_000);

  it("means by a name what its caller sees, which is another connection than the hub would take", async () => {
    const request = requestOf("op", { userId: "twin" });
    const first = await consented(hub.clients, request, new Browser());
    const second = await consented(hub.clients, request, new Browser());
    await expect.poll(() => statusOf(spoke, second)).toBe(ConnectionStatus.ACTIVE);
    const key = await keyAt("second", { connectionIds: [second] });
    const name = { providerName: "op", userId: "twin" };
    const { body } = await withKey(key, "TokenService/RefreshToken", { name });
    expect(body.token).toEqual(expect.objectContaining({ revision: "2" }));
    expect(body.token.credentials).toEqual((await tokenAt(hub, second))?.credentials);
    expect((await tokenAt(hub, first))?.revision).toBe(1n);
    // By its order the hub alone would take the first.
    const acquired = await withKey(key, "TokenService/AcquireToken", { ...name, minTtl: "86000s" });
    expect(acquired.body.token.credentials).toEqual((await tokenAt(hub, second))?.credentials);
    const read = await withKey(key, "TokenService/GetToken", { name, minTtl: "86000s" });
    expect(read.body.token.credentials).toEqual((await tokenAt(hub, second))?.credentials);
  });

  it("has a link's connection at once, and does nothing with the keys of the hub", async () => {
    const link = await spoke.clients.connections.requestConnection(requestOf("op", { userId: "fay" }));
    const { connectionId } = link;
    expect(await statusOf(spoke, connectionId)).toBe(ConnectionStatus.PENDING);
    await hub.clients.access.createApiKey({
      name: "hubs",
      role: Role.AGENT,
      restriction: { userIds: ["ada"] },
    });
    const refused = await failureOf(
      spoke.clients.access.revokeApiKey({ key: { case: "name", value: "hubs" } }),
    );
    expect(refused).toMatchObject({ code: "NotFound" });
  });

  it("may itself do at the hub what the hub's policy lets it", async () => {
    const provider = { name: "mine", authType: AuthType.HEADER };
    const refused = await failureOf(spoke.clients.providers.createProvider({ provider }));
    expect(refused).toMatchObject({ code: "PermissionDenied" });
    expect(refused.message).toContain("refuses it to this spoke");
  });

  it("hears of a revocation and of a deletion, and asks for both", async () => {
    const [one = "", other = ""] = await Promise.all(
      ["dora", "emil"].map((userId) => consented(hub.clients, requestOf("op", { userId }), new Browser())),
    );
    const watcher = new Watcher(spoke.clients.tokens, { connectionIds: [one] });
    await watcher.state(({ token }) => token !== undefined);
    await hub.clients.connections.revokeConnection({ connectionId: one });
    const { status, token } = await watcher.state((state) => state.token === undefined);
    expect([status, token]).toEqual([ConnectionStatus.REVOKED, undefined]);
    const refused = await failureOf(tokenAt(spoke, one));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "CONNECTION_REVOKED" });
    watcher.cancel();
    // What it has the hub do it knows when that is answered.
    await spoke.clients.connections.revokeConnection({ connectionId: other });
    expect((await failureOf(tokenAt(spoke, other))).reason).toBe("CONNECTION_REVOKED");
    await spoke.clients.connections.deleteConnection({ connectionId: other });
    expect(await statusOf(spoke, other)).toBe("removed");
  });

  it("answers the link to whoever reports that an API wants other scopes, and to who names them", async () => {
    const asked = { providerName: "op", userId: "ada" };
    const revision = (await tokenAt(hub))?.revision ?? 0n;
    const report = { connectionId: adas, revision, status: 403 };
    const wwwAuthenticate = 'Bearer error="insufficient_scope", scope="email write"';
    const { consent } = await spoke.clients.tokens.reportRejectedToken({ ...report, wwwAuthenticate });
    expect(consent).toMatchObject({ connectionId: adas, reason: "scopes_missing" });
    const acquired = async (scopes: string[]) =>
      (await spoke.clients.tokens.acquireToken({ ...asked, scopes })).result;
    expect(await acquired([])).toMatchObject({ case: "token", value: { revision } });
    expect(await acquired(["write"])).toMatchObject({
      case: "consent",
      value: { authUrl: consent?.authUrl },
    });
  });
});
