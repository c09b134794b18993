import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { Store } from "../../src/store/store.js";
import { ended, fakeShell } from "../cli/fake_shell.js";
import { perTest } from "../lifetimes.js";
import { needs } from "../needs.js";
import { json, startScriptedServer } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { auditEvents } from "./audit_events.js";
import { failureOf } from "./errors.js";
import { foreignRefreshToken } from "./foreign_token.js";
import { World } from "./harness.js";
import { registered } from "./requests.js";

describe("moving from Nexus", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/moving-from-nexus.md"), "utf8");
  const [read = "", take = ""] = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .slice(-2)
    .map(([, sh]) => sh);

  const world = perTest(() => World.make());
  const broker = perTest(() => startScriptedServer());

  it("reads the grants of a running broker, imports them, and goes on after one that failed", async (context) => {
    needs(context, "curl");
    await world.register();
    const grants = [1, 2].map(() => foreignRefreshToken(world.provider, world.place.config.redirectUri));
    const [first, second] = await Promise.all(grants);
    const tokens: Record<string, object> = {
      "/connections/old-1/token": { refresh_token: first, scope: "openid read" },
      "/connections/old-2/token": { refresh_token: "of another client" },
    };
    broker.script = (response, { path }) => json(tokens[path] ?? {})(response, {} as never);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "grants.txt"), "old-1 op ada\nold-2 op bob\n");
    writeFileSync(
      join(folder, "nexusd"),
      `#!/bin/sh\nexec "${process.execPath}" ${join(import.meta.dirname, "../../dist/main.js")} "$@"\n`,
      { mode: 0o755 },
    );
    const sh = (script: string) =>
      promisify(execFile)("sh", ["-c", script], {
        cwd: folder,
        env: {
          PATH: `${folder}:${dirname(process.execPath)}:${process.env["PATH"]}`,
          NEXUS_DATA_DIR: world.place.config.dataDir,
          BROKER: broker.origin,
          NEXUS_KEY: "k",
        },
      }).catch((error: Error) => error);
    await sh(read);
    await sh(take);
    const map = () => readFileSync(join(folder, "map.txt"), "utf8").trimEnd().split("\n");
    expect(map()).toEqual([expect.stringMatching(/^old-1 [0-9a-f-]{36}$/)]);
    tokens["/connections/old-2/token"] = { refresh_token: second };
    await sh(read);
    await sh(take);
    const { connections } = await world.clients.connections.listConnections({});
    const idOf = (user: string) => connections.find(({ userId }) => userId === user)?.id;
    expect(map()).toEqual([`old-1 ${idOf("ada")}`, `old-2 ${idOf("bob")}`]);
    expect(connections.map(({ status }) => status)).toEqual([
      ConnectionStatus.ACTIVE,
      ConnectionStatus.ACTIVE,
    ]);
  });
});

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
