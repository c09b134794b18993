import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { started } from "../../../daemon/daemon_at.js";
import { failureOf } from "../../../daemon/errors.js";
import { Watcher } from "../../../daemon/harness.js";
import { ProcessAt } from "../../../daemon/process_at.js";
import { consented, registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser, consent } from "../../../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { perSuite } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { type HubProcess, Hubs, shortLease } from "../../fleet/daemon/hubs.js";
import { certificateIdentity, fileOf, hubSettings, spokeSettings } from "./spokes.js";

describe("a spoke whose only hub is killed", () => {
  const provider = perSuite(() => startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3600 }));
  const hub = perSuite(() => started(ProcessAt, hubSettings()));
  let spoke: ProcessAt;
  let adas: string;
  let bobs: string;

  beforeAll(async () => {
    await registeredAt(provider, hub.clients);
    adas = await consented(hub.clients, requestOf("op"), new Browser());
    bobs = await consented(hub.clients, requestOf("op", { userId: "bob" }), new Browser());
    spoke = await started(ProcessAt, spokeSettings([hub.place.httpUrl], certificateIdentity()));
  }, 60_000);

  afterAll(() => spoke?.close());

  const token = async () => (await spoke.clients.tokens.getToken({ connectionId: adas })).token;

  it("serves living tokens, says how old they are, and starts anew with them", async () => {
    const before = await token();
    await hub.daemon.kill("SIGKILL");
    await expect.poll(async () => (await spoke.status())?.connected).toBe(false);
    expect(await token()).toEqual(before);
    await spoke.daemon.kill("SIGKILL");
    await spoke.start();
    expect(await token()).toEqual(before);
    const status = await spoke.status();
    expect(status?.connected).toBe(false);
    expect(status?.age).toBeDefined();
    expect(status?.trouble).toContain("no hub answers");
    expect((await fetch(`${spoke.opsUrl}/readyz`)).status).toBe(200);
    const wish = await spoke.clients.tokens.getToken({ connectionId: adas, minTtl: { seconds: 86_000n } });
    expect(wish.token).toEqual(before);
    const refused = await failureOf(spoke.clients.tokens.refreshToken({ connectionId: adas }));
    expect(refused).toMatchObject({ code: "Unavailable" });
    expect(refused.message).toContain("no hub of this spoke can be reached: nothing was done");
  }, 60_000);

  it("goes on with it where it was, and hears of what ended meanwhile", async () => {
    const watcher = new Watcher(spoke.clients.tokens, { connectionIds: [bobs] });
    await watcher.state(({ token }) => token !== undefined);
    await hub.start();
    await hub.clients.connections.deleteConnection({ connectionId: bobs });
    expect((await watcher.until(({ case: kind }) => kind === "removed")).value).toMatchObject({
      connectionId: bobs,
    });
    expect((await spoke.status())?.connected).toBe(true);
    watcher.cancel();
  }, 60_000);
});

describe("a spoke of a fleet", () => {
  let hubs: Hubs;
  let provider: OpenIdProvider;
  let spoke: ProcessAt;
  let connectionId: string;

  beforeAll(async () => {
    if (!has("postgresql")) return;
    provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3600 });
    hubs = await Hubs.start({ count: 3, environment: shortLease });
    connectionId = await hubs.connected(provider);
    const leader = await hubs.leader();
    const restriction = { userIds: ["*"] };
    const { key } = await leader.clients.access.createApiKey({
      name: "spoke",
      role: Role.AGENT,
      restriction,
    });
    spoke = await started(
      ProcessAt,
      spokeSettings(hubs.all.map(urlOf), { NEXUS_UPSTREAM_TOKEN_FILE: fileOf(key) }),
    );
  }, 120_000);

  afterAll(async () => {
    await spoke?.close();
    await hubs?.close();
    await provider?.stop();
  });

  beforeEach((context) => needs(context, "postgresql"));

  const urlOf = ({ environment }: HubProcess): string => `http://${environment["NEXUS_HTTP_LISTEN"]}`;
  const followed = async (): Promise<HubProcess> => {
    await expect.poll(async () => (await spoke.status())?.connected, { timeout: 20_000 }).toBe(true);
    const hub = (await spoke.status())?.hub;
    return hubs.all.find((one) => urlOf(one) === hub) as HubProcess;
  };
  const revision = async () => (await spoke.clients.tokens.getToken({ connectionId })).token?.revision ?? 0n;

  it("goes on at another hub, where it was, when the one that it follows is killed", async () => {
    const killed = await followed();
    const watcher = new Watcher(spoke.clients.tokens, { connectionIds: [connectionId] });
    const { revision: before } = await watcher.state(({ token }) => token !== undefined);
    await killed.daemon.kill("SIGKILL");
    expect(await revision()).toBe(before);
    const others = hubs.all.filter((hub) => hub !== killed);
    // As soon as it notices.
    await expect.poll(async () => (await followed()) === killed, { timeout: 20_000 }).toBe(false);
    const leader = await hubs.leader(others);
    await leader.clients.tokens.refreshToken({ connectionId });
    const after = await watcher.state((state) => state.revision > before);
    expect(after.token?.revision).toBe(before + 1n);
    watcher.cancel();
    await killed.start();
  }, 120_000);

  it("has the fleet refresh and make a link through whichever hub it follows", async () => {
    const leader = await hubs.leader();
    await hubs.balance(leader);
    const before = await revision();
    const { token } = await spoke.clients.tokens.refreshToken({ connectionId });
    expect([token?.revision, await revision()]).toEqual([before + 1n, before + 1n]);
    const asked = { providerName: "op", userId: "bob" };
    const { result } = await spoke.clients.tokens.acquireToken(asked);
    if (result.case !== "consent") throw new Error("no link");
    expect((await consent(new Browser(), result.value.authUrl)).status).toBe(200);
    const acquired = async () => (await spoke.clients.tokens.acquireToken(asked)).result.case;
    await expect.poll(acquired).toBe("token");
    const origins = async () =>
      (await auditEvents(leader.clients, { principal: "key:spoke" })).map(({ origin }) => origin);
    await expect
      .poll(async () => (await origins()).some((origin) => origin.endsWith(" for owner")))
      .toBe(true);
  }, 120_000);

  it("is answered while the leader is away, and by the next one", async () => {
    const killed = await hubs.leader();
    const before = await revision();
    await killed.daemon.kill("SIGKILL");
    expect(await revision()).toBe(before);
    const refreshed = async () => (await spoke.clients.tokens.refreshToken({ connectionId })).token?.revision;
    await expect.poll(() => refreshed().catch(() => 0n), { timeout: 30_000 }).toBeGreaterThan(before);
    await killed.start();
  }, 120_000);
});
