import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { LocalDaemon, started } from "../../../daemon/daemon_at.js";
import { failureOf } from "../../../daemon/errors.js";
import { Place } from "../../../daemon/harness.js";
import { registered } from "../../../daemon/requests.js";
import { Authority } from "../../../fakes/certificates.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";
import { authority, certificateIdentity, fileOf, hubSettings, keyIdentity, spokeSettings } from "./spokes.js";

const hub = perSuite(() => started(LocalDaemon, hubSettings()));
const ids: Record<string, string> = {};

beforeAll(async () => {
  const providerId = await registered(hub.clients, { name: "static", authType: AuthType.HEADER });
  for (const userId of ["ada", "bob"]) {
    const credentials = { api_key: `k-of-${userId}` };
    const { connection } = await hub.clients.connections.importConnection({
      userId,
      providerId,
      credentials,
    });
    ids[userId] = connection?.id ?? "";
  }
}, 60_000);

afterEach(() => vi.unstubAllEnvs());

const spokeOf = async (urls: readonly string[], identity: NodeJS.ProcessEnv) =>
  new LocalDaemon(await Place.make(spokeSettings(urls, identity)));

it.each([
  [
    "an API key that the hub does not know",
    async () => ({ NEXUS_UPSTREAM_TOKEN_FILE: fileOf("nx_wrong") }),
    /the hub does not know who this spoke is: check NEXUS_UPSTREAM_TOKEN_FILE/,
  ],
  [
    "a certificate that no binding of the hub's policy names",
    async () => certificateIdentity(authority.issue({ uris: ["spiffe://nexus.test/other"] })),
    /lets it read no tokens: bind its principal to the role agent .*permission denied/,
  ],
  [
    "a token file that is not there",
    async () => ({ NEXUS_UPSTREAM_TOKEN_FILE: "/nonexistent/token" }),
    /\/nonexistent\/token cannot be read \(ENOENT\)/,
  ],
  [
    "a certificate that is none",
    async () => ({ ...certificateIdentity(), NEXUS_UPSTREAM_CERT_FILE: fileOf("no certificate") }),
    /NEXUS_UPSTREAM_KEY_FILE, is no PEM that TLS can use \(ERR_OSSL/,
  ],
] as const)(
  "does not start with %s, and says what to do",
  async (_, identity, words) => {
    const { code, output } = await (await spokeOf([hub.place.httpUrl], await identity())).refusal();
    expect(code).toBe(15);
    expect(output).toMatch(words);
    expect(output).not.toContain("nx_wrong");
  },
  60_000,
);

it("does not start with a hub whose certificate it does not trust", async () => {
  const ca = { NEXUS_UPSTREAM_CA_FILE: fileOf(new Authority("Nobody").pem) };
  const spoke = await spokeOf([hub.place.httpUrl], { ...certificateIdentity(), ...ca });
  const { code, output } = await spoke.refusal();
  expect(code).toBe(15);
  expect(output).toMatch(/TLS with the hub fails \(.*certificate/);
}, 60_000);

it("does not start with a hub whose certificate is of another address", async () => {
  const other = authority.issue({ dns: ["localhost", "address.invalid"], ips: ["127.0.0.2"] });
  const leaderPage = await started(LocalDaemon, hubSettings(other));
  try {
    const spoke = await spokeOf([leaderPage.place.httpUrl], certificateIdentity());
    const { code, output } = await spoke.refusal();
    expect(code).toBe(15);
    expect(output).toMatch(/TLS with the hub fails \(.*127\.0\.0\.1/);
  } finally {
    await leaderPage.stop();
  }
}, 60_000);

it("starts without a hub, is not ready, has its copy when one comes, and notices a link that goes dead", async () => {
  const link = await TcpProxy.tcp(Number(new URL(hub.place.httpUrl).port));
  link.cut();
  const spoke = await spokeOf([`https://127.0.0.1:${link.port}`], certificateIdentity());
  const connected = async () => (await spoke.status())?.connected;
  try {
    await spoke.start();
    const ready = await fetch(`${spoke.opsUrl}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toMatch(/there is no copy yet: no hub answers/);
    const asked = { providerName: "static", userId: "ada" };
    const acquire = () => spoke.clients.tokens.acquireToken(asked);
    expect((await failureOf(acquire())).code).toBe("Unavailable");
    link.heal();
    await expect.poll(connected, { timeout: 20_000 }).toBe(true);
    expect((await acquire()).result.case).toBe("token");
    expect((await fetch(`${spoke.opsUrl}/readyz`)).status).toBe(200);
    link.halfOpen();
    // Nothing tells that it is: pings are not answered.
    await expect.poll(connected, { timeout: 40_000 }).toBe(false);
    expect((await acquire()).result.case).toBe("token");
    link.heal();
    await expect.poll(connected, { timeout: 20_000 }).toBe(true);
  } finally {
    await spoke.stop();
    await link.close();
  }
}, 120_000);

it("goes to the next hub when one does not answer, and holds what its identity may see there", async () => {
  const dead = `https://127.0.0.1:${await freePort()}`;
  const identity = await keyIdentity(hub.clients, "of-ada", { userIds: ["ada"] });
  // A proxy of the environment is not for hubs.
  for (const name of ["grpc_proxy", "https_proxy"]) vi.stubEnv(name, "http://127.0.0.1:1");
  const spoke = await started(LocalDaemon, spokeSettings([dead, hub.place.httpUrl], identity));
  try {
    const get = (userId: string) => spoke.clients.tokens.getToken({ connectionId: ids[userId] ?? "" });
    expect((await get("ada")).token?.credentials).toEqual({ api_key: "k-of-ada" });
    expect(await failureOf(get("bob"))).toMatchObject({ code: "NotFound" });
    expect(
      (await spoke.clients.connections.listConnections({})).connections.map(({ userId }) => userId),
    ).toEqual(["ada"]);
    expect(await spoke.status()).toMatchObject({ hub: hub.place.httpUrl, connected: true });
  } finally {
    await spoke.stop();
  }
}, 40_000);

it("starts with its copy though its identity is refused, after hours, and when the place of the copy cannot be read", async () => {
  const identity = await keyIdentity(hub.clients, "ended", { userIds: ["ada"] });
  const spoke = await started(LocalDaemon, spokeSettings([hub.place.httpUrl], identity));
  const get = () => spoke.clients.tokens.getToken({ connectionId: ids["ada"] ?? "" });
  try {
    expect((await get()).token?.credentials).toEqual({ api_key: "k-of-ada" });
    await hub.clients.access.revokeApiKey({ key: { case: "name", value: "ended" } });
    await spoke.stop();
    const path = join(spoke.place.config.dataDir, "upstream.json");
    const place = JSON.parse(readFileSync(path, "utf8"));
    const hoursAgo = JSON.stringify({ ...place, lastContactAtMs: Date.now() - 2 * 3_600_000 });
    for (const text of [hoursAgo, ""]) {
      writeFileSync(path, text);
      await spoke.start();
      expect((await spoke.status())?.trouble).toMatch(/does not know who this spoke is/);
      expect((await failureOf(get())).code).toBe("Unavailable");
      await spoke.stop();
    }
  } finally {
    await spoke.stop();
  }
}, 60_000);

it("takes no folder of a daemon for its copy, and no daemon takes a copy for connections of its own", async () => {
  const settings = spokeSettings([hub.place.httpUrl], certificateIdentity());
  await hub.stop();
  const mistaken = new LocalDaemon(
    await Place.make({ ...settings, NEXUS_DATA_DIR: hub.place.config.dataDir }),
  );
  const { code, output } = await mistaken.refusal();
  expect(code).toBe(2);
  expect(output).toMatch(/holds connections of a daemon: give the spoke another one/);
  await hub.start();
  const { token } = await hub.clients.tokens.getToken({ connectionId: ids["ada"] ?? "" });
  expect(token?.revision).toBe(1n);
  const spoke = await started(LocalDaemon, settings);
  await spoke.stop();
  const daemon = new LocalDaemon(await Place.make({ NEXUS_DATA_DIR: spoke.place.config.dataDir }));
  const refused = await daemon.refusal();
  expect(refused.code).toBe(2);
  expect(refused.output).toMatch(/holds copies of connections of a hub: set NEXUS_UPSTREAM/);
}, 60_000);
