import { describe, expect, test } from "vitest";
import { connectionStatuses } from "../../src/model/connections/connection.js";
import { connectionEncoder, decodeConnection } from "../../src/store/records/connection_codec.js";
import { Store } from "../../src/store/store.js";
import { aConnection, aProfile, nowMs, pending, sealed, stateHash } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";
import { openStore } from "./temporary_store.js";

const fullProvider = aProfile({
  id: "p2",
  name: "full",
  tokenEndpointAuthMethod: "client_secret_basic",
  issuer: "https://issuer.example",
  enableDiscovery: true,
  authUrl: "https://issuer.example/auth",
  tokenUrl: "https://issuer.example/token",
  jwksUrl: "https://issuer.example/jwks",
  scopes: ["openid", "email"],
  authorizationParams: { prompt: "consent", access_type: "offline" },
  apiBaseUrl: "https://api.example",
  userInfoEndpoint: "/me",
  description: "A provider – für alle",
  category: "mail",
  refreshWindowMs: 60_000,
  checkIntervalMs: 300_000,
  clientSecret: sealed("secret"),
  updatedAtMs: nowMs + 1,
  version: 2n ** 64n - 1n,
});

const fullConnection = aConnection({
  id: "c2",
  status: "attention",
  credentialRevision: 2n ** 60n,
  requestedScopes: ["a"],
  grantedScopes: ["a", "b"],
  expiresAtMs: nowMs + 1,
  issuedAtMs: nowMs + 2,
  refreshable: true,
  refreshNotBeforeMs: nowMs + 3,
  problem: { reason: "refresh_failing", sinceMs: nowMs + 4, retryAtMs: nowMs + 5 },
  refreshExpiresAtMs: nowMs + 11,
  failedRefreshes: 7,
  refreshIntent: { credentialRevision: 9n, startedAtMs: nowMs + 6, sends: 2 },
  pendingStateHash: stateHash(0xabc),
  requestExpiresAtMs: nowMs + 7,
  updatedAtMs: nowMs + 8,
  dueAtMs: nowMs + 9,
  subject: "subject",
  refusedConsent: { reason: "access_denied", detail: "so it is", refusedAtMs: nowMs + 12 },
  checkedAtMs: nowMs + 13,
});

describe("a record read back is the record written", () => {
  test.each([aProfile({ id: "p1" }), fullProvider])("provider $name", async (profile) => {
    const store = openStore();
    await store.commit((tx) => tx.putProvider(profile));
    expect(store.getProvider(profile.id)).toEqual(profile);
    expect(store.findProviderByName(profile.name)).toEqual(profile);
  });

  test.each([
    aConnection({ id: "c1" }),
    fullConnection,
    aConnection({ id: "c3", problem: { reason: "reauth_required", sinceMs: nowMs, retryAtMs: undefined } }),
    ...connectionStatuses.map((status) => aConnection({ id: `c-${status}`, status })),
  ])("connection $id", async (record) => {
    const store = openStore();
    await store.commit((tx) => tx.putConnection(record));
    expect(store.getConnection(record.id)).toEqual(record);
    // What was written lately is not decoded.
    const bytes = connectionEncoder(record)(7n);
    expect(decodeConnection(bytes)).toEqual({ changeRevision: 7n, connection: record });
  });

  test("a text with half of a surrogate pair is the same at once as it is later", async () => {
    const store = openStore();
    const record = aConnection({ metadata: { team: "Caf\ud83d" } });
    await store.commit((tx) => tx.putConnection(record));
    expect(store.getConnection(record.id)?.metadata).toEqual({ team: "Caf\ufffd" });
  });

  test("credential, pending authorization, discovery document, key check", async () => {
    const store = openStore();
    const credential = { revision: 5n, sealed: sealed("credential") };
    const bare = pending("c1");
    const full = pending("c2", { scopes: ["x", "y"], returnUrl: "https://app.example/done" });
    const discovery = { document: '{"issuer":"x"}', fetchedAtMs: nowMs };
    const longIssuer = `https://issuer.example/${"x".repeat(3000)}`;
    expect(store.keyCheck).toBeUndefined();
    await store.commit((tx) => {
      tx.putCredential("c1", credential);
      tx.putAuthorization(stateHash(1), bare);
      tx.putAuthorization(stateHash(2), full);
      tx.putDiscovery("https://issuer.example", discovery);
      tx.putDiscovery(longIssuer, { ...discovery, document: "long" });
      tx.setKeyCheck(sealed("check"));
    });
    expect(store.getCredential("c1")).toEqual(credential);
    expect(store.getAuthorization(stateHash(1))).toEqual(bare);
    expect(store.getAuthorization(stateHash(2))).toEqual(full);
    expect(store.getDiscovery("https://issuer.example")).toEqual(discovery);
    expect(store.getDiscovery(longIssuer)?.document).toBe("long");
    expect(store.keyCheck).toEqual(sealed("check"));
  });

  test("a credential larger than a page", async () => {
    const store = openStore();
    const large = { revision: 1n, sealed: { ...sealed("x"), ciphertext: Buffer.alloc(200_000, "large") } };
    await store.commit((tx) => tx.putCredential("c1", large));
    expect(store.getCredential("c1")).toEqual(large);
  });

  test("audit events", async () => {
    const store = openStore();
    const bare = { timeMs: nowMs, type: "provider.created", principal: "owner" } as const;
    const full = {
      ...bare,
      connectionId: "c1",
      providerId: "p1",
      reason: "why",
      origin: "unix",
      count: 3,
      revision: 7n,
    };
    await store.commit((tx) => tx.appendAudit(bare));
    await store.commit((tx) => tx.appendAudit(full));
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(store.listAuditEvents({ limit: 10 }).events).toEqual([
      { sequence: 2n, event: full, hash },
      { sequence: 1n, event: bare, hash },
    ]);
  });
});

test("a connection that was read before is read as it is now, in each store, and in a transaction that is rolled back", async () => {
  const [one, other] = [openStore(), openStore()];
  const put = (store: Store, label: string) =>
    store.commit((tx) => tx.putConnection(aConnection({ id: "c1", label })));
  const labels = () => [one, other].map((store) => store.getConnection("c1")?.label);
  await put(one, "a");
  await put(other, "b");
  expect([labels(), labels()]).toEqual([
    ["a", "b"],
    ["a", "b"],
  ]);
  const violation = new Error("no");
  const refused = one.commit((tx) => {
    tx.putConnection(aConnection({ id: "c1", label: "c" }));
    expect(tx.getConnection("c1")?.label).toBe("c");
    throw violation;
  });
  await expect(refused).rejects.toBe(violation);
  expect(labels()).toEqual(["a", "b"]);
  await put(one, "d");
  expect(labels()).toEqual(["d", "b"]);
  for (const store of [one, other]) await store.close();
});

test("what was never written is undefined", () => {
  const store = openStore();
  expect(store.getProvider("x")).toBeUndefined();
  expect(store.findProviderByName("x")).toBeUndefined();
  expect(store.getConnection("x")).toBeUndefined();
  expect(store.getCredential("x")).toBeUndefined();
  expect(store.getAuthorization(stateHash(1))).toBeUndefined();
  expect(store.getDiscovery("x")).toBeUndefined();
});

test.each([
  aConnection({ id: "c1", dueAtMs: 0 }),
  aConnection({ id: "c1", dueAtMs: -1 }),
  aConnection({ id: "c1", expiresAtMs: 1.5 }),
  aConnection({ id: "c1", expiresAtMs: Number.NaN }),
  aConnection({ id: "c1", pendingStateHash: "not hex" }),
])("a value that could not be read back is refused", async (record) => {
  const store = openStore();
  await expect(store.commit((tx) => tx.putConnection(record))).rejects.toThrow(RangeError);
  expect(store.listConnections({ limit: 10 })).toEqual([]);
});

test("identity of the store and everything in it outlive the process", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  const { databaseId, epoch } = first;
  await first.commit((tx) => {
    tx.setKeyCheck(sealed("check"));
    tx.putConnection(fullConnection);
  });
  await first.close();
  const second = openStore(folder);
  expect(second.databaseId).toBe(databaseId);
  expect(second.epoch).toBe(epoch);
  expect(databaseId).not.toBe(epoch);
  expect(second.keyCheck).toEqual(sealed("check"));
  expect(second.getConnection("c2")).toEqual(fullConnection);
  expect(second.revision).toBe(1n);
  expect(second.settledRevision).toBe(1n);
});
