import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { failureOf } from "../daemon/errors.js";
import { Watcher } from "../daemon/harness.js";
import { perSuite } from "../lifetimes.js";
import { AccessWorld, type Clients } from "./access_world.js";

const world = perSuite(() => AccessWorld.make());

/** How a stream ended. */
async function endOf(watcher: Watcher): Promise<string> {
  try {
    while ((await watcher.next()) !== undefined);
    return "OK";
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "?";
  }
}

/** No timer ends it: the clock of the daemon stands still meanwhile. That a busy machine stands still too is allowed for. */
async function atOnce<T>(work: Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work;
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  return result;
}

describe("API keys", () => {
  it("are stored as a digest and shown once", async () => {
    const key = await world.key({ role: Role.OPERATOR }, "digest-only");
    const { apiKeys } = await world.admin.access.listApiKeys({ pageSize: 1000 });
    const listed = apiKeys.find(({ name }) => name === "digest-only");
    expect(listed).toMatchObject({ role: Role.OPERATOR, createdBy: "admin", id: key.split("_")[1] });
    expect(
      JSON.stringify(listed, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toContain(key.split("_").slice(2).join("_"));
    for (const file of readdirSync(world.place.config.dataDir)) {
      if (file.endsWith(".sock")) continue;
      expect(readFileSync(join(world.place.config.dataDir, file)).includes(key)).toBe(false);
    }
    expect(world.place.logLines.join("")).not.toContain(key);
  });

  it("prove who the caller is at every listener, and nothing else does", async () => {
    const key = await world.key({ userIds: ["ada"] }, "listener-key");
    for (const clients of [world.grpc(key), world.connect(key)]) {
      const me = await clients.access.whoAmI({});
      expect(me).toMatchObject({ principal: "key:listener-key", role: Role.AGENT });
      expect(me.restrictions[0]?.userIds).toEqual(["ada"]);
    }
    expect(
      await (await world.rest(key)).get(`/v1/check-connection/${world.connections.adaGithub}`),
    ).toMatchObject({
      status: 200,
    });
    const forged = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
    const unknown = `nxk_0123456789abcdef_${key.slice(21)}`;
    for (const wrong of [forged, unknown, key.slice(0, -1), `${key}A`, key.toUpperCase()]) {
      expect((await failureOf(world.grpc(wrong).access.whoAmI({}))).code).toBe("Unauthenticated");
      expect((await failureOf(world.connect(wrong).access.whoAmI({}))).code).toBe("Unauthenticated");
    }
    // A wrong secret and an unknown key are told the same.
    expect(await world.raw(forged, "AccessService/WhoAmI", {})).toBe(
      await world.raw(unknown, "AccessService/WhoAmI", {}),
    );
  });

  it("have names that are given once, so that no key is taken for another in the audit log", async () => {
    await world.key({ userIds: ["ada"] }, "once");
    const again = () => failureOf(world.key({ userIds: ["ada"] }, "once"));
    expect((await again()).code).toBe("AlreadyExists");
    await world.admin.access.revokeApiKey({ key: { case: "name", value: "once" } });
    expect((await again()).code).toBe("AlreadyExists");
  });

  it("are checked with every error named, and nothing is stored", async () => {
    const { access } = world.admin;
    const before = (await access.listApiKeys({ pageSize: 1000, includeRevoked: true })).apiKeys.length;
    expect(await failureOf(access.createApiKey({ name: "Bad Name", role: Role.AGENT }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["name"],
    });
    expect(await failureOf(access.createApiKey({ name: "a", role: Role.UNSPECIFIED }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["role"],
    });
    expect(await failureOf(access.createApiKey({ name: "a", role: Role.AGENT }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["restriction"],
    });
    const operator = {
      name: "a",
      role: Role.OPERATOR,
      restriction: { userIds: ["x"] },
      expiresAt: { seconds: 1n },
    };
    expect(await failureOf(access.createApiKey(operator))).toMatchObject({
      code: "InvalidArgument",
      fields: ["restriction", "expires_at"],
    });
    const starred = { name: "a", role: Role.AGENT, restriction: { userIds: ["a*b"] } };
    expect(await failureOf(access.createApiKey(starred))).toMatchObject({
      fields: ["restriction.user_ids[0]"],
    });
    expect((await access.listApiKeys({ pageSize: 1000, includeRevoked: true })).apiKeys.length).toBe(before);
  });

  it("expire: the next call is refused, and streams end", async () => {
    const key = await world.key({ userIds: ["ada"], expiresAtMs: world.clock.nowMs() + 60_000 });
    const clients = world.grpc(key);
    const watcher = new Watcher(clients.tokens, {});
    await watcher.until(({ case: kind }) => kind === "bookmark");
    world.clock.advance(60_000);
    expect(await atOnce(endOf(watcher))).toBe("Unauthenticated");
    expect((await failureOf(clients.access.whoAmI({}))).code).toBe("Unauthenticated");
  });

  it("when revoked end their streams at once, and the next call is refused", async () => {
    const key = await world.key({ userIds: ["ada"] }, "to-revoke");
    const listeners = [world.grpc(key), world.connect(key)];
    const watchers = listeners.map(({ tokens }) => new Watcher(tokens, {}));
    for (const watcher of watchers) await watcher.until(({ case: kind }) => kind === "bookmark");
    const name = { providerName: "github", userId: "ada", label: "revoked" };
    await world.grpc(key).tokens.acquireToken(name);
    const before = world.clock.pending;
    const waits = listeners.map(({ tokens }) =>
      failureOf(tokens.acquireToken({ ...name, wait: { seconds: 60n } })),
    );
    await expect.poll(() => world.clock.pending).toBeGreaterThanOrEqual(before + waits.length);
    await world.admin.access.revokeApiKey({ key: { case: "name", value: "to-revoke" } });
    for (const watcher of watchers) expect(await atOnce(endOf(watcher))).toBe("Unauthenticated");
    for (const wait of waits) expect((await atOnce(wait)).code).toBe("Unauthenticated");
    await world.admin.connections.deleteConnection({ name });
    for (const { access } of listeners)
      expect((await failureOf(access.whoAmI({}))).code).toBe("Unauthenticated");
    const { apiKeys } = await world.admin.access.listApiKeys({ pageSize: 1000 });
    expect(apiKeys.map(({ name }) => name)).not.toContain("to-revoke");
    const all = await world.admin.access.listApiKeys({ pageSize: 1000, includeRevoked: true });
    expect(all.apiKeys.find(({ name }) => name === "to-revoke")?.revokedBy).toBe("admin");
  });

  it("are listed in pages, with their last use to the hour", async () => {
    const key = await world.key({ userIds: ["ada"] }, "used");
    await world.grpc(key).access.whoAmI({});
    // No call waits until its use is noted; commits are made in turn, and this one is waited for.
    await world.key({ userIds: ["ada"] }, "used-after");
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await world.admin.access.listApiKeys({ pageSize: 2, pageToken, includeRevoked: true });
      names.push(...page.apiKeys.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual([...names].sort());
    expect(names).toContain("used");
    const lastUse = async () =>
      (await world.admin.access.listApiKeys({})).apiKeys.find(({ name }) => name === "used")?.lastUsedAt;
    // The call that it is of did not wait for it.
    await expect.poll(lastUse).toBeDefined();
    const madeAt = (await world.admin.access.listApiKeys({})).apiKeys.find(
      ({ name }) => name === "used",
    )?.createdAt;
    // To the hour, which began before the key was made.
    expect(await lastUse()).toEqual(madeAt);
  });
});

describe("an agent", () => {
  const nowhere = randomUUID();
  let key: string;
  let agent: Clients;
  beforeAll(async () => {
    key = await world.key({ userIds: ["ada"], providers: ["github"] }, "agent");
    agent = world.grpc(key);
  });

  it("reads the tokens of its own connections", async () => {
    const connectionId = world.connections.adaGithub;
    const { token } = await agent.tokens.getToken({ connectionId });
    expect(Object.values(token?.credentials ?? {})).toEqual(["secret-of-ada"]);
  });

  it.each([
    ["ConnectionService/GetConnection", {}],
    ["ConnectionService/RevokeConnection", {}],
    ["ConnectionService/DeleteConnection", {}],
    ["ConnectionService/ReplaceCredential", { credentials: { api_key: "x" } }],
    ["ConnectionService/ReplaceCredential", { credentials: {} }],
    ["ConnectionService/RequestConnection", {}],
    ["ConnectionService/RequestConnection", { userId: "eve", returnUrl: "https://evil.example" }],
    ["ConnectionService/RequestConnection", { providerName: "slack" }],
    ["TokenService/GetToken", {}],
    ["TokenService/GetToken", { minTtl: "-1s" }],
    ["TokenService/RefreshToken", {}],
    ["NexusService/CheckConnection", {}],
    ["NexusService/GetToken", {}],
    ["NexusService/RefreshConnection", {}],
  ])(
    "is answered by %s %j for a hidden connection exactly as for one that does not exist",
    async (rpc, more) => {
      const missing = await world.raw(key, rpc, { connectionId: nowhere, ...more });
      for (const connectionId of [world.connections.bobGithub, world.connections.adaSlack]) {
        expect(await world.raw(key, rpc, { connectionId, ...more })).toBe(missing);
      }
      expect(JSON.parse(missing)[0]).not.toBe(200);
      // Nothing was done behind the answer.
      expect(
        (await world.admin.connections.getConnection({ connectionId: world.connections.bobGithub }))
          .connection,
      ).toMatchObject({ status: 2, revision: 1n });
    },
  );

  it.each([
    ["ConnectionService/GetConnection", {}],
    ["ConnectionService/RevokeConnection", {}],
    ["ConnectionService/DeleteConnection", {}],
    ["ConnectionService/ReplaceCredential", { credentials: { api_key: "x" } }],
    ["TokenService/GetToken", { minTtl: "1s" }],
    ["TokenService/GetToken", { minTtl: "-1s" }],
    ["TokenService/RefreshToken", {}],
  ])("is answered by %s %j for a hidden name exactly as for one that names nothing", async (rpc, more) => {
    const ask = (providerName: string, userId: string): Promise<string> =>
      world.raw(key, rpc, { name: { providerName, userId }, ...more });
    const missing = await ask("github", "nobody");
    expect(JSON.parse(missing)[0]).not.toBe(200);
    for (const [provider, user] of [
      ["github", "bob"],
      ["slack", "ada"],
      ["none", "ada"],
    ] as const) {
      expect(await ask(provider, user)).toBe(missing);
    }
  });

  it("acquires tokens and links for its own alone, and is told of a hidden name what it is told of none", async () => {
    const ask = (providerName: string, userId: string, more: object = {}): Promise<string> =>
      world.raw(key, "TokenService/AcquireToken", { providerName, userId, ...more });
    const held = await agent.tokens.acquireToken({ providerName: "github", userId: "ada" });
    expect(held.result.value).toMatchObject({ credentials: { api_key: "secret-of-ada" } });
    const made = await agent.tokens.acquireToken({ providerName: "github", userId: "ada", label: "second" });
    if (made.result.case !== "consent") throw new Error("no link");
    const { connectionId } = made.result.value;
    expect((await agent.connections.getConnection({ connectionId })).connection?.label).toBe("second");
    for (const more of [{}, { wait: "1s" }, { returnUrl: "https://evil.example" }]) {
      const outside = await ask("github", "nobody", more);
      expect(JSON.parse(outside)[0]).toBe(403);
      expect(await ask("github", "bob", more)).toBe(outside);
      const unknown = await ask("clack", "ada", more);
      expect(JSON.parse(unknown)[0]).toBe(404);
      // The answer names what was asked for.
      expect((await ask("slack", "ada", more)).replace("slack", "clack")).toBe(unknown);
    }
    await world.admin.connections.deleteConnection({ connectionId });
  });

  it("restricted to connections acquires these, and makes no other", async () => {
    const narrow = world.grpc(await world.key({ connectionIds: [world.connections.adaGithub] }));
    const ada = { providerName: "github", userId: "ada" };
    expect((await narrow.tokens.acquireToken(ada)).result.case).toBe("token");
    expect((await failureOf(narrow.tokens.acquireToken({ ...ada, label: "x" }))).code).toBe(
      "PermissionDenied",
    );
    const bob = { providerName: "github", userId: "bob" };
    expect((await failureOf(narrow.tokens.acquireToken(bob))).code).toBe("PermissionDenied");
  });

  it("reads its own by name, and of several only one that it may see", async () => {
    const { token } = await agent.tokens.getToken({ name: { providerName: "github", userId: "ada" } });
    expect(token?.credentials).toEqual({ api_key: "secret-of-ada" });
    const second = await world.import("ada", "github");
    const narrow = world.grpc(await world.key({ connectionIds: [second] }));
    const name = { providerName: "github", userId: "ada" };
    expect((await narrow.connections.getConnection({ name })).connection?.id).toBe(second);
    await world.admin.connections.deleteConnection({ connectionId: second });
    expect((await failureOf(narrow.connections.getConnection({ name }))).code).toBe("NotFound");
  });

  it("is answered alike over gRPC: code, message, details and trailers", async () => {
    const ask = async (connectionId: string): Promise<string> => {
      const error = await agent.tokens.getToken({ connectionId }).then(
        () => new ConnectError("no failure"),
        (thrown: unknown) => ConnectError.from(thrown),
      );
      const trailers = [...error.metadata].filter(([name]) => name !== "date");
      return JSON.stringify([error.code, error.rawMessage, error.details, trailers]);
    };
    const missing = await ask(nowhere);
    expect(JSON.parse(missing).slice(0, 2)).toEqual([Code.NotFound, "connection not found"]);
    expect(await ask(world.connections.bobGithub)).toBe(missing);
  });

  it.each([
    ["GET", "/v1/check-connection/ID"],
    ["GET", "/v1/token/ID"],
    ["POST", "/v1/refresh/ID"],
    ["GET", "/connections/ID/token"],
    ["POST", "/connections/ID/refresh"],
  ])("is answered by %s %s alike too", async (method, path) => {
    const ask = (id: string): Promise<string> =>
      world.rawRest(key, method, path.replace("ID", id), method === "POST" ? {} : undefined);
    const missing = await ask(nowhere);
    expect(JSON.parse(missing)[0]).toBe(404);
    expect(await ask(world.connections.bobGithub)).toBe(missing);
    expect(await ask(world.connections.bobGithub.toUpperCase())).toBe(missing);
  });

  it("reads no metrics over REST: they count all connections", async () => {
    expect((await (await world.rest(key)).get("/metrics")).status).toBe(403);
  });

  it("is told of a hidden provider what it is told of none", async () => {
    const { github, slack } = world.providers;
    /** The answer names what was asked for, which is the one or the other. */
    const ask = async (rpc: string, body: object): Promise<string> =>
      (await world.raw(key, rpc, body)).replace(slack, nowhere).replace("slack", "clack");
    expect(await ask("ProviderService/GetProvider", { id: slack })).toBe(
      await ask("ProviderService/GetProvider", { id: nowhere }),
    );
    expect(await ask("ProviderService/GetProvider", { name: "slack" })).toBe(
      await ask("ProviderService/GetProvider", { name: "clack" }),
    );
    for (const userId of ["ada", "bob", ""]) {
      expect(await ask("ConnectionService/RequestConnection", { userId, providerId: slack })).toBe(
        await ask("ConnectionService/RequestConnection", { userId, providerId: nowhere }),
      );
      expect(
        await ask("ConnectionService/ImportConnection", { userId, providerId: slack, refreshToken: "x" }),
      ).toBe(
        await ask("ConnectionService/ImportConnection", { userId, providerId: nowhere, refreshToken: "x" }),
      );
    }
    const { providers, nextPageToken } = await agent.providers.listProviders({ pageSize: 1 });
    expect(providers.map(({ name }) => name)).toEqual(["github"]);
    expect(nextPageToken).toBe("");
    expect((await agent.providers.getProvider({ key: { case: "id", value: github } })).provider?.name).toBe(
      "github",
    );
    expect(JSON.parse(await world.rawRest(key, "GET", "/v1/providers"))[2]).not.toContain("slack");
  });

  it("requests connections for its own users and providers, and sees what it requested", async () => {
    const provider = { case: "providerName", value: "github" } as const;
    const requested = await agent.connections.requestConnection({ userId: "ada", provider });
    const { connection } = await agent.connections.getConnection({ connectionId: requested.connectionId });
    expect(connection?.userId).toBe("ada");
    expect((await failureOf(agent.connections.requestConnection({ userId: "bob", provider }))).code).toBe(
      "PermissionDenied",
    );
    // The state belongs to the connection: another agent learns nothing by it, the schema of the form included.
    const other = await world.key({ userIds: ["bob"] });
    const { state } = requested;
    for (const rpc of ["GetCaptureSchema", "CaptureCredential"]) {
      expect(
        await world.raw(other, `ConnectionService/${rpc}`, { state, credentials: { api_key: "x" } }),
      ).toBe(
        await world.raw(other, `ConnectionService/${rpc}`, {
          state: "A".repeat(43),
          credentials: { api_key: "x" },
        }),
      );
    }
    const captured = await agent.connections.captureCredential({ state, credentials: { api_key: "mine" } });
    await agent.connections.deleteConnection({ connectionId: captured.connectionId });
  });

  it("lists its own connections, and neither page lengths nor tokens tell of others", async () => {
    const others = await Promise.all(Array.from({ length: 12 }, () => world.import("bob", "github")));
    const mine = await Promise.all(Array.from({ length: 3 }, () => world.import("ada", "github")));
    const expected = [world.connections.adaGithub, ...mine].sort();
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await agent.connections.listConnections({ pageSize: 2, pageToken });
      seen.push(...page.connections.map(({ id }) => id));
      pageToken = page.nextPageToken;
      expect(page.connections.length).toBe(2);
      if (pageToken !== "") {
        expect(Buffer.from(pageToken, "base64url").toString()).toBe(
          `connections/${page.connections.at(-1)?.id}`,
        );
      }
    } while (pageToken !== "");
    expect(seen).toEqual(expected);
    expect((await agent.connections.listConnections({ userId: "bob" })).connections).toEqual([]);
    expect(
      (await agent.connections.listConnections({ providerId: world.providers.slack })).connections,
    ).toEqual([]);
    for (const connectionId of [...others, ...mine])
      await world.admin.connections.deleteConnection({ connectionId });
  });

  it("watches its own connections alone, and is not told when others change or go", async () => {
    const { bobGithub, adaGithub } = world.connections;
    const asked = new Watcher(agent.tokens, { connectionIds: [bobGithub, nowhere, adaGithub] });
    const events = new Map<string, string | undefined>();
    await asked.until((event) => {
      if (event.case === "removed") events.set(event.value.connectionId, event.case);
      if (event.case === "state") events.set(event.value.connectionId, event.case);
      return event.case === "bookmark";
    });
    expect(Object.fromEntries(events)).toEqual({
      [bobGithub]: "removed",
      [nowhere]: "removed",
      [adaGithub]: "state",
    });
    asked.cancel();

    const all = new Watcher(agent.tokens, {});
    const ids: string[] = [];
    let position: { epoch: string; revision: bigint } | undefined;
    const note = (event: Awaited<ReturnType<Watcher["next"]>>): boolean => {
      if (event?.case === "removed") ids.push(`-${event.value.connectionId}`);
      if (event?.case === "state") ids.push(event.value.connectionId);
      if (event?.case === "bookmark") position = event.value.position;
      return event?.case === "bookmark";
    };
    await all.until(note);
    expect(ids).toEqual([adaGithub]);
    const hidden = await world.import("bob", "github");
    await world.admin.connections.deleteConnection({ connectionId: hidden });
    const mine = await world.import("ada", "github");
    await all.until((event) => event.case === "state" && event.value.connectionId === mine && !note(event));
    await world.admin.connections.deleteConnection({ connectionId: mine });
    await all.until((event) => event.case === "removed" && !note(event));
    expect(ids).toEqual([adaGithub, mine, `-${mine}`]);
    all.cancel();

    // Resumed, it is told of what went meanwhile, its own alone.
    ids.length = 0;
    const resumed = new Watcher(agent.tokens, {
      position: { epoch: position?.epoch ?? "", revision: position?.revision ?? 0n },
    });
    await resumed.until(note);
    expect(ids).toEqual([`-${mine}`]);
    resumed.cancel();
  });

  it("restricted to connections sees these, their providers, and requests no new one", async () => {
    const { adaSlack, adaGithub } = world.connections;
    const restricted = world.grpc(await world.key({ connectionIds: [adaSlack] }));
    expect((await restricted.connections.listConnections({})).connections.map(({ id }) => id)).toEqual([
      adaSlack,
    ]);
    expect((await restricted.providers.listProviders({})).providers.map(({ name }) => name)).toEqual([
      "slack",
    ]);
    expect((await failureOf(restricted.tokens.getToken({ connectionId: adaGithub }))).code).toBe("NotFound");
    const provider = { case: "providerName", value: "slack" } as const;
    expect(
      (await failureOf(restricted.connections.requestConnection({ userId: "ada", provider }))).code,
    ).toBe("PermissionDenied");
    const again = await restricted.connections.requestConnection({ connectionId: adaSlack });
    expect(again.connectionId).toBe(adaSlack);
  });

  it("restricted to a pattern of users is restricted to what begins so", async () => {
    const connectionId = await world.import("acme:eva", "github");
    const restricted = world.grpc(await world.key({ userIds: ["acme:*"] }));
    expect((await restricted.connections.listConnections({})).connections.map(({ id }) => id)).toEqual([
      connectionId,
    ]);
    await world.admin.connections.deleteConnection({ connectionId });
  });
});

describe("roles", () => {
  it("an agent is refused what is not its own before its request is looked at", async () => {
    const key = await world.key({ userIds: ["*"] });
    for (const [rpc, body] of [
      ["ProviderService/CreateProvider", {}],
      ["ProviderService/UpdateProvider", { provider: { id: "x" } }],
      ["ProviderService/DeleteProvider", { id: "not a uuid" }],
      ["ProviderService/ListProviderTemplates", { pageSize: -1 }],
      ["AuditService/ListAuditEvents", { pageToken: "!" }],
      ["AuditService/VerifyAuditLog", { checkpointSequence: "1" }],
      ["AccessService/CreateApiKey", {}],
      ["AccessService/ListApiKeys", { pageSize: -1 }],
      ["AccessService/RevokeApiKey", {}],
      ["AccessService/ExplainAccess", {}],
    ] as const) {
      const [status, , text] = JSON.parse(await world.raw(key, rpc, body));
      expect([rpc, status, JSON.parse(text).code]).toEqual([rpc, 403, "permission_denied"]);
      expect(JSON.parse(text).details).toBeUndefined();
    }
    expect((await (await world.rest(key)).get("/v1/audit")).status).toBe(403);
  });

  it("an operator keeps providers and connections, and reads no token, key or key ring", async () => {
    const key = await world.key({ role: Role.OPERATOR }, "operator");
    const operator = world.connect(key);
    const connectionId = world.connections.bobGithub;
    const { provider } = await operator.providers.createProvider({ provider: { name: "own", authType: 2 } });
    await operator.providers.deleteProvider({ id: provider?.id ?? "" });
    expect((await operator.connections.listConnections({})).connections.length).toBeGreaterThan(2);
    await operator.audit.listAuditEvents({});
    const denied = [
      () => operator.tokens.getToken({ connectionId }),
      () => operator.tokens.acquireToken({ providerName: "github", userId: "new" }),
      () => operator.tokens.refreshToken({ connectionId }),
      () => operator.nexus.getToken({ connectionId }),
      () => operator.nexus.refreshConnection({ connectionId }),
      () => operator.access.listApiKeys({}),
      () => operator.access.createApiKey({ name: "mine", role: Role.ADMIN }),
      () => new Watcher(operator.tokens, {}).next(),
    ];
    for (const call of denied) expect((await failureOf(call())).code).toBe("PermissionDenied");
    expect((await (await world.rest(key)).get(`/v1/token/${connectionId}`)).status).toBe(403);
  });

  it("health and reflection say nothing of anyone, and stay open", async () => {
    const response = await fetch(`${world.place.opsUrl}/livez`);
    expect(response.status).toBe(200);
  });
});

describe("the audit log", () => {
  it("tells who made and revoked keys and who was denied, without a flood", async () => {
    const key = await world.key({ userIds: ["ada"] }, "flooder");
    const flooder = world.grpc(key);
    for (let call = 0; call < 20; call++) {
      await failureOf(
        flooder.tokens.getToken({ connectionId: call === 0 ? world.connections.bobGithub : randomUUID() }),
      );
      await failureOf(flooder.audit.listAuditEvents({}));
    }
    const denied = async () => {
      const { events } = await world.admin.audit.listAuditEvents({
        pageSize: 1000,
        eventType: "access.denied",
      });
      return events.filter(({ principal }) => principal === "key:flooder");
    };
    expect((await denied()).map(({ reason }) => reason).sort()).toEqual(["audit.read", "token.read"]);
    world.clock.advance(60_000);
    await failureOf(flooder.audit.listAuditEvents({}));
    // The first of each is on record at once, and the rest together when their minute is over.
    await vi.waitFor(
      async () => {
        const counts = (await denied()).map(({ count }) => count);
        expect(counts.filter((count) => count === 19n)).toHaveLength(2);
      },
      { timeout: 20_000 },
    );
    await world.admin.access.revokeApiKey({ key: { case: "name", value: "flooder" } });
    for (const eventType of ["api_key.created", "api_key.revoked"]) {
      const { events } = await world.admin.audit.listAuditEvents({ pageSize: 1000, eventType });
      expect(events.find(({ reason }) => reason === "key:flooder")?.principal).toBe("admin");
    }
  });

  it("labels no metric with a name", async () => {
    const text = await (await fetch(`${world.place.opsUrl}/metrics`)).text();
    expect(text).toContain("AccessService/WhoAmI");
    for (const name of ["flooder", "key:", "ada", "github"]) expect(text).not.toContain(name);
  });
});

describe("ExplainAccess", () => {
  it("asked of a key that is yet to be made does not lock it out", async () => {
    const ask = () => world.admin.access.explainAccess({ principal: "key:later", action: "token.read" });
    expect((await ask()).verdict).toBe(3);
    const later = world.grpc(await world.key({ userIds: ["ada"] }, "later"));
    const { token } = await later.tokens.getToken({ connectionId: world.connections.adaGithub });
    expect(token).toBeDefined();
    expect((await ask()).verdict).toBe(2);
  });

  it("says what the live policy answers, and the rule", async () => {
    await world.key({ userIds: ["ada"] }, "explained");
    const ask = (principal: string, action: string, resource?: object) =>
      world.admin.access.explainAccess({ principal, action, ...(resource && { resource }) });
    expect(await ask("owner", "token.read")).toMatchObject({ verdict: 1, role: Role.ADMIN });
    expect(await ask("key:explained", "TokenService/GetToken")).toMatchObject({
      verdict: 2,
      action: "token.read",
    });
    const own = { connectionId: world.connections.adaGithub };
    expect(await ask("key:explained", "token.read", own)).toMatchObject({ verdict: 1 });
    const answer = await ask("key:explained", "token.read", { connectionId: world.connections.bobGithub });
    expect(answer.verdict).toBe(3);
    expect(answer.rule).toContain("made with role agent, restricted to users ada");
    expect(await ask("key:nobody", "self.read")).toMatchObject({
      verdict: 1,
      rule: "there is no API key key:nobody",
    });
    expect(await ask("jwt:somebody", "token.read")).toMatchObject({ verdict: 3, role: Role.UNSPECIFIED });
    expect((await failureOf(ask("mallory", "token.read"))).fields).toEqual(["principal"]);
    expect((await failureOf(ask("owner", "fly"))).fields).toEqual(["action"]);
    expect((await failureOf(ask("owner", "token.read", { connectionId: randomUUID() }))).code).toBe(
      "NotFound",
    );
  });
});
