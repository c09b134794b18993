import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { Store } from "../../src/store/store.js";
import { ended, fakeShell } from "../cli/fake_shell.js";
import { perTest } from "../lifetimes.js";
import { json, startScriptedServer } from "../oauth/scripted_server.js";
import { auditEvents } from "./audit_events.js";
import { failureOf } from "./errors.js";
import { foreignRefreshToken } from "./foreign_token.js";
import { World } from "./harness.js";
import { registered } from "./requests.js";

describe("importing a refresh token", () => {
  const world = perTest(() => World.make());
  let providerId: string;
  let refreshToken: string;
  beforeEach(async () => {
    providerId = await world.register();
    refreshToken = await foreignRefreshToken(world.provider, world.place.config.redirectUri);
  });
  const importIt = (change: { userId?: string; refreshToken?: string; providerId?: string } = {}) =>
    world.clients.connections.importConnection({
      userId: "ada",
      providerId,
      refreshToken,
      scopes: ["read"],
      ...change,
    });
  const connections = async () => (await world.clients.connections.listConnections({})).connections;
  const refreshes = () =>
    world.provider.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length;

  it("proves it by one refresh, and keeps it alive from then on", async () => {
    const { connection } = await importIt();
    expect(connection).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      userId: "ada",
      providerName: "op",
      refreshable: true,
      revision: 1n,
    });
    expect([...(connection?.grantedScopes ?? [])].sort()).toEqual(["openid", "read"]);
    expect(refreshes()).toBe(1);
    const connectionId = connection?.id ?? "";
    expect((await world.clients.tokens.getToken({ connectionId })).token?.revision).toBe(1n);
    expect((await world.clients.tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    const [imported] = await auditEvents(world.clients, { connectionId });
    expect(imported).toMatchObject({
      eventType: "connection.imported",
      principal: "owner",
      origin: "unix",
      providerId,
    });
  });

  it("answers the same connection to a caller who asks again, without sending the token again", async () => {
    const answers = await Promise.all([importIt(), importIt(), importIt()]);
    expect(new Set(answers.map(({ connection }) => connection?.id)).size).toBe(1);
    await world.restart();
    expect((await importIt()).connection?.id).toBe(answers[0]?.connection?.id);
    expect(refreshes()).toBe(1);
    expect((await failureOf(importIt({ userId: "bob" }))).fields).toEqual(["user_id"]);
    expect(await connections()).toHaveLength(1);
  });

  it("gives it the id of the other system, and another import cannot have it", async () => {
    const id = "0b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
    const first = { userId: "ada", providerId, refreshToken, id };
    const { connection } = await world.clients.connections.importConnection(first);
    expect(connection?.id).toBe(id);
    expect((await world.clients.connections.importConnection(first)).connection?.id).toBe(id);
    expect((await world.clients.tokens.getToken({ connectionId: id })).token?.revision).toBe(1n);
    expect(refreshes()).toBe(1);
    const other = { ...first, id: "0b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4e" };
    expect((await failureOf(world.clients.connections.importConnection(other))).fields).toEqual(["id"]);
    const second = { ...first, refreshToken: "another" };
    expect(await failureOf(world.clients.connections.importConnection(second))).toMatchObject({
      code: "AlreadyExists",
    });
    const third = { ...first, refreshToken: "", accessToken: "another" };
    expect(await failureOf(world.clients.connections.importConnection(third))).toMatchObject({
      code: "AlreadyExists",
    });
    // A token that was refused holds no id.
    expect(refreshes()).toBe(1);
    expect(await connections()).toHaveLength(1);
    await world.clients.connections.deleteConnection({ connectionId: id });
    expect((await world.clients.connections.importConnection(third)).connection?.id).toBe(id);
  });

  it("imports an access token of a provider that issues no refresh token", async () => {
    const id = "0b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4f";
    const expiresMs = world.clock.nowMs() + 3_600_000;
    const token = { userId: "ada", providerId, accessToken: "gho_theirs", scopes: ["read"] };
    const { connection } = await world.clients.connections.importConnection({ ...token, id });
    expect(connection).toMatchObject({
      ...{ id, status: ConnectionStatus.ACTIVE, refreshable: false, revision: 1n, grantedScopes: ["read"] },
    });
    expect(connection?.expiresAt).toBeUndefined();
    const given = (await world.clients.tokens.getToken({ connectionId: id })).token;
    expect(given?.credentials).toEqual({ access_token: "gho_theirs" });
    const ending = await world.clients.connections.importConnection({
      ...{ ...token, label: "ending", accessTokenExpiresAt: timestampFromMs(expiresMs) },
    });
    expect(ending.connection?.expiresAt).toEqual(timestampFromMs(expiresMs));
    world.clock.advance(3_600_001);
    const failure = await failureOf(
      world.clients.tokens.getToken({ connectionId: ending.connection?.id ?? "" }),
    );
    expect(failure.code).toBe("FailedPrecondition");
    expect(refreshes()).toBe(0);
    await world.restart();
    expect((await world.clients.tokens.getToken({ connectionId: id })).token?.revision).toBe(1n);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["an access token beside a refresh token", { accessToken: "a" }, "access_token"],
    [
      "an expired access token",
      { refreshToken: "", accessToken: "a", accessTokenExpiresAt: timestampFromMs(1) },
      "access_token_expires_at",
    ],
    [
      "an end of a refresh token",
      { accessTokenExpiresAt: timestampFromMs(4_000_000_000_000) },
      "access_token_expires_at",
    ],
    ["an id that is no UUID", { id: "mine" }, "id"],
    ["an id in capitals", { id: "0B1F2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4F" }, "id"],
  ])("refuses %s", async (_, change, field) => {
    const failure = await failureOf(
      world.clients.connections.importConnection({ userId: "ada", providerId, refreshToken, ...change }),
    );
    expect(failure).toMatchObject({ code: "InvalidArgument", fields: [field] });
    expect(refreshes()).toBe(0);
  });

  it("stores nothing when the provider refuses it", async () => {
    await world.provider.revokeAllGrants();
    expect(await failureOf(importIt())).toMatchObject({
      code: "FailedPrecondition",
      reason: "CREDENTIAL_REJECTED",
    });
    expect(await connections()).toEqual([]);
    const [failed] = await auditEvents(world.clients, { eventType: "connection.import_failed" });
    expect(failed).toMatchObject({ providerId, connectionId: "", reason: "credential_rejected" });
    await world.stop();
    const store = Store.open({ folder: world.place.config.dataDir, nowMs: 1 });
    expect(store.listImports()).toEqual([]);
    await store.close();
    await world.start();
  });

  it("is UNAVAILABLE while the provider is, and succeeds afterwards", async () => {
    await world.provider.setOutage("503");
    expect((await failureOf(importIt())).code).toBe("Unavailable");
    expect(await connections()).toEqual([]);
    await world.provider.setOutage("none");
    expect((await importIt()).connection?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("names what is wrong with a request", async () => {
    expect((await failureOf(importIt({ userId: "" }))).fields).toEqual(["user_id"]);
    expect((await failureOf(importIt({ refreshToken: "" }))).fields).toEqual(["refresh_token"]);
    const unknown = "00000000-0000-4000-8000-000000000000";
    expect((await failureOf(importIt({ providerId: unknown }))).code).toBe("NotFound");
  });

  it("takes the token from a file, a pipe or a prompt, and shows it nowhere", async () => {
    const file = join(world.place.config.dataDir, "token");
    writeFileSync(file, `${refreshToken}\n`);
    const env = { NEXUS_DATA_DIR: world.place.config.dataDir };
    const ways = [
      { shell: fakeShell({ env }), args: ["--file", file] },
      { shell: fakeShell({ env, piped: refreshToken }), args: [] },
      { shell: fakeShell({ env, answers: [refreshToken] }), args: ["--file", "-"] },
    ];
    for (const { shell, args } of ways) {
      expect(await run(["connection", "import", "op", "--user", "ada", ...args], shell)).toBe(0);
      expect(shell.out()).toMatch(/^[0-9a-f-]{36} is active\n$/);
      expect(shell.questions).toEqual(
        shell.stdin.isTTY ? [{ question: "Refresh token: ", echo: false }] : [],
      );
      expect(shell.out() + shell.err()).not.toContain(refreshToken);
    }
    const refused = await ended(
      2,
      ["connections", "import", "op", "--user", "ada"],
      fakeShell({ env, piped: `${refreshToken}\nmore` }),
    );
    expect(refused.err()).not.toContain(refreshToken);
    await world.stop();
    expect(world.place.logLines.join("")).not.toContain(refreshToken);
    expect(readFileSync(join(world.place.config.dataDir, "nexus.mdb")).includes(refreshToken)).toBe(false);
    await world.start();
  });
});

it("reads ids and access tokens at the command line", async () => {
  const world = await World.make();
  await world.register("op");
  const env = { NEXUS_DATA_DIR: world.place.config.dataDir };
  const id = "0b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
  const args = ["connections", "import", "op", "--user", "ada"];
  const token = [...args, "--access-token", "--expires", "2999-01-31T12:00:00Z", "--id", id.toUpperCase()];
  const shown = await ended(0, [...token, "--json"], fakeShell({ env, piped: "gho_theirs\n" }));
  expect(JSON.parse(shown.out())).toMatchObject({ id, expires_at: "2999-01-31T12:00:00Z" });
  for (const [more, words] of [
    [["--id", "mine"], "must be a UUID"],
    [["--expires", "tomorrow"], "a time with its zone"],
    [["--expires", "2999-01-31T12:00:00Z"], "--access-token"],
  ] as const) {
    const shell = fakeShell({ env, piped: "token" });
    expect((await ended(2, [...args, ...more], shell)).err()).toContain(words);
  }
  await world.close();
});

describe("importing the fields of a static type", () => {
  it("makes an active connection", async () => {
    const world = await World.make();
    const providerId = await registered(world.clients, { name: "keys", authType: AuthType.BASIC_AUTH });
    const importIt = (credentials: Record<string, string>) =>
      world.clients.connections.importConnection({ userId: "ada", providerId, credentials });
    expect((await failureOf(importIt({ password: "p" }))).fields).toEqual(["credentials.username"]);
    expect((await failureOf(importIt({}))).fields).toEqual(["credentials"]);
    const { connection } = await importIt({ username: "me", password: "" });
    const { token } = await world.clients.tokens.getToken({ connectionId: connection?.id ?? "" });
    expect(token?.credentials).toEqual({ username: "me", password: "" });

    const [imported] = await auditEvents(world.clients, { eventType: "connection.imported" });
    expect(imported).toMatchObject({ connectionId: connection?.id, origin: "unix", revision: 1n });

    const env = { NEXUS_DATA_DIR: world.place.config.dataDir };
    const asked = await ended(
      0,
      ["connection", "import", "keys", "--user", "bob"],
      fakeShell({ env, answers: ["you", "secret"] }),
    );
    expect(asked.questions.map(({ question }) => question)).toEqual(["User name: ", "Password: "]);
    await ended(
      0,
      ["connection", "import", "keys", "--user", "cleo"],
      fakeShell({ env, piped: '{"username":"a","password":"b"}' }),
    );
    await world.close();
  });
});

it("tries the fields of a static type at the provider where the profile says how", async () => {
  const world = await World.make();
  const api = await startScriptedServer(json({}, 401));
  const { provider } = await world.clients.providers.createProvider({
    provider: {
      name: "keys",
      authType: AuthType.BASIC_AUTH,
      apiBaseUrl: api.origin,
      userInfoEndpoint: "/me",
    },
  });
  const importIt = () =>
    world.clients.connections.importConnection({
      userId: "ada",
      providerId: provider?.id ?? "",
      credentials: { username: "me", password: "p" },
    });
  expect(await failureOf(importIt())).toMatchObject({ reason: "CREDENTIAL_REJECTED" });
  expect((await world.clients.connections.listConnections({})).connections).toEqual([]);
  const [failed] = await auditEvents(world.clients, { eventType: "connection.import_failed" });
  expect(failed).toMatchObject({ providerId: provider?.id, reason: "credential_rejected" });
  api.script = json({});
  expect((await importIt()).connection?.status).toBe(ConnectionStatus.ACTIVE);
  await api.close();
  await world.close();
});
