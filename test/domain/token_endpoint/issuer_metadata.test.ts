import { beforeEach, describe, expect, it } from "vitest";
import { IssuerMetadata } from "../../../src/domain/token_endpoint/issuer_metadata.js";
import { FailedPrecondition, Unavailable } from "../../../src/model/errors.js";
import { Store } from "../../../src/store/store.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { aProfile } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const issuer = "https://op.example";
const hourMs = 3_600_000;
const profile = aProfile({ id: "p", issuer, enableDiscovery: true });

function documentOf(tokenPath: string, change: object = {}): string {
  return JSON.stringify({
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}${tokenPath}`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    ...change,
  });
}

describe("IssuerMetadata", () => {
  const clock = new ManualClock(1_800_000_000_000);
  const store = perTest(() => Store.open({ folder: temporaryFolder(), nowMs: clock.nowMs() }));
  /** Each fetch waits here for the test to answer it. */
  let fetches: { answer(document: string): void; fail(): void }[];
  beforeEach(() => {
    fetches = [];
  });
  const start = (): IssuerMetadata =>
    new IssuerMetadata({
      networks: loopbackNetworks,
      store,
      clock,
      log: silentLog,
      fetchDocument: () =>
        new Promise((resolve, reject) => {
          fetches.push({ answer: resolve, fail: () => reject(new Error("down")) });
        }),
    });
  const discovered = async (): Promise<IssuerMetadata> => {
    const servers = start();
    const first = servers.resolve(profile);
    fetches[0]?.answer(documentOf("/token"));
    await first;
    return servers;
  };

  it.each([
    ["what is no JSON", "{"],
    ["what an older version took and this one does not", documentOf("/token#part")],
    ["endpoints that stand where none may", documentOf("/token", { token_endpoint: "https://10.0.0.1/t" })],
  ])("fetches anew when the copy in the store is of no use: %s", async (_name, document) => {
    await store.commit((tx) => tx.putDiscovery(issuer, { document, fetchedAtMs: clock.nowMs() }));
    const asked = start().resolve(profile);
    asked.catch(() => undefined);
    expect(fetches).toHaveLength(1);
    fetches[0]?.answer(documentOf("/new"));
    expect((await asked).tokenEndpoint).toBe(`${issuer}/new`);
  });

  it("gives a document that came by the word of a profile's own authority to no other profile, nor keeps it for one", async () => {
    const servers = await discovered();
    const asked = servers.resolve({ ...profile, id: "q", apiCaFile: "corp" });
    expect(fetches).toHaveLength(2);
    fetches[1]?.answer(documentOf("/corp"));
    expect((await asked).tokenEndpoint).toBe(`${issuer}/corp`);
    for (const each of [servers, start()]) {
      expect((await each.resolve(profile)).tokenEndpoint).toBe(`${issuer}/token`);
      const own = await each.resolve({ ...profile, id: "r", apiCaFile: "corp" });
      expect(own.tokenEndpoint).toBe(`${issuer}/corp`);
    }
    expect(fetches).toHaveLength(2);
  });

  it("fetches once for all who ask at the same time, and answers the same object from then on", async () => {
    const servers = start();
    const asked = [servers.resolve(profile), servers.resolve(profile)];
    expect(fetches).toHaveLength(1);
    fetches[0]?.answer(documentOf("/token"));
    const [one, two] = await Promise.all(asked);
    expect(one?.tokenEndpoint).toBe(`${issuer}/token`);
    expect(two).toBe(one);
    expect(await servers.resolve(profile)).toBe(one);
    expect(fetches).toHaveLength(1);
  });

  it("puts an endpoint of the profile before the discovered one, and needs no document for both", async () => {
    const servers = await discovered();
    const own = { tokenUrl: "https://own.example/token" };
    const server = await servers.resolve({ ...profile, ...own });
    expect(server).toMatchObject({
      authorizationEndpoint: `${issuer}/auth`,
      tokenEndpoint: own.tokenUrl,
      jwksUri: `${issuer}/jwks`,
      metadata: { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: own.tokenUrl },
    });
    await expect(servers.resolve({ ...profile, tokenUrl: "https://10.0.0.1/token" })).rejects.toThrow(
      FailedPrecondition,
    );
    const both = { id: "q", authUrl: "https://own.example/auth", ...own };
    const manual = await start().resolve({ ...profile, ...both });
    expect(manual).toMatchObject({
      issuer,
      authorizationEndpoint: both.authUrl,
      tokenEndpoint: own.tokenUrl,
    });
    expect(fetches).toHaveLength(1);
  });

  it("refetches an old document in the background, and serves the old one meanwhile", async () => {
    const servers = await discovered();
    clock.advance(hourMs);
    expect((await servers.resolve(profile)).tokenEndpoint).toBe(`${issuer}/token`);
    expect(fetches).toHaveLength(2);
    fetches[1]?.answer(documentOf("/token2"));
    // What was fetched is used once it is durable, a moment after a reader of the store can see it.
    const newest = async (): Promise<string> => (await servers.resolve(profile)).tokenEndpoint;
    while ((await newest()) !== `${issuer}/token2`) await new Promise(setImmediate);
    expect(fetches).toHaveLength(2);
  });

  it("keeps the last good copy through an outage, a document that is broken, and a restart", async () => {
    const servers = await discovered();
    clock.advance(hourMs);
    await servers.resolve(profile);
    fetches[1]?.fail();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await servers.resolve(profile)).tokenEndpoint).toBe(`${issuer}/token`);
    expect(fetches).toHaveLength(2);
    clock.advance(60_000);
    await servers.resolve(profile);
    expect(fetches).toHaveLength(3);
    fetches[2]?.answer(documentOf("/token3", { issuer: `${issuer}/` }));
    expect((await start().resolve(profile)).tokenEndpoint).toBe(`${issuer}/token`);
  });

  it("fetches a document again before the next request whose endpoint is not there, once a minute at most", async () => {
    const servers = await discovered();
    servers.doubt(profile);
    // It is a moment old.
    expect((await servers.resolve(profile)).tokenEndpoint).toBe(`${issuer}/token`);
    clock.advance(60_000);
    const both = [servers.resolve(profile), servers.resolve(profile)];
    expect(fetches).toHaveLength(2);
    fetches[1]?.answer(documentOf("/moved"));
    for (const server of await Promise.all(both)) expect(server.tokenEndpoint).toBe(`${issuer}/moved`);
    clock.advance(60_000);
    await servers.resolve(profile);
    expect(fetches).toHaveLength(2);
  });

  it("keeps the last good copy where a document that is in doubt cannot be fetched", async () => {
    const servers = await discovered();
    clock.advance(60_000);
    servers.doubt(profile);
    const asked = servers.resolve(profile);
    fetches[1]?.fail();
    expect((await asked).tokenEndpoint).toBe(`${issuer}/token`);
    servers.doubt(profile);
    await servers.resolve(profile);
    expect(fetches).toHaveLength(2);
    clock.advance(60_000);
    const again = servers.resolve(profile);
    fetches[2]?.answer(documentOf("/moved"));
    expect((await again).tokenEndpoint).toBe(`${issuer}/moved`);
  });

  it("is unavailable when there never was a document, and asks again next time", async () => {
    const servers = start();
    const asked = servers.resolve(profile);
    fetches[0]?.fail();
    await expect(asked).rejects.toThrow(Unavailable);
    const again = servers.resolve(profile);
    fetches[1]?.answer(documentOf("/token"));
    expect((await again).tokenEndpoint).toBe(`${issuer}/token`);
  });

  it.each([
    ["another issuer", { issuer: "https://evil.example" }],
    ["an issuer with a slash more", { issuer: `${issuer}/` }],
    ["no token endpoint", { token_endpoint: undefined }],
    ["a plain http endpoint", { token_endpoint: "http://op.example/token" }],
    ["an endpoint on this machine", { token_endpoint: "http://127.0.0.1/token" }],
  ])("refuses a document with %s", async (_name, change) => {
    const asked = start().resolve(profile);
    fetches[0]?.answer(documentOf("/token", change));
    await expect(asked).rejects.toThrow(FailedPrecondition);
    expect(store.getDiscovery(issuer)).toBeUndefined();
  });

  it("follows a profile that was changed by hand", async () => {
    const servers = start();
    const manual = aProfile({ id: "m", authUrl: `${issuer}/a`, tokenUrl: `${issuer}/t` });
    const before = await servers.resolve(manual);
    expect(await servers.resolve(manual)).toBe(before);
    const changed = { ...manual, tokenUrl: `${issuer}/t2`, version: 2n };
    expect((await servers.resolve(changed)).tokenEndpoint).toBe(`${issuer}/t2`);
  });
});
