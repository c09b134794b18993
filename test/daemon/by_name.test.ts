import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { fakeShell } from "../cli/fake_shell.js";
import { consent } from "../fakes/browser.js";
import { failureOf } from "./errors.js";
import { socketTransport, World } from "./harness.js";
import { SecretWatcher, secretsOf } from "./secret_watcher.js";

const ada = { providerName: "op", userId: "ada" };

describe("a connection by its name", () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
    await world.register();
  });
  afterEach(() => world.close());
  const request = (more: object = {}) =>
    world.clients.connections.requestConnection({
      userId: "ada",
      provider: { case: "providerName", value: "op" },
      ...more,
    });
  const connected = async (more: object = {}): Promise<string> => {
    const { authUrl, connectionId } = await request(more);
    expect((await consent(world.browser, authUrl)).status).toBe(200);
    return connectionId;
  };
  const idOf = async (name: object = ada): Promise<string> =>
    (await world.clients.connections.getConnection({ name })).connection?.id ?? "";

  it("is read, refreshed, shown and ended", async () => {
    const connectionId = await connected();
    const { tokens, connections } = world.clients;
    const { token } = await tokens.getToken({ name: ada });
    expect(token).toEqual((await tokens.getToken({ connectionId })).token);
    expect((await tokens.refreshToken({ name: { ...ada, providerName: " OP " } })).token?.revision).toBe(2n);
    expect((await tokens.getToken({ name: ada, minTtl: { seconds: 60n } })).token?.revision).toBe(2n);
    expect(await idOf()).toBe(connectionId);
    const { connection } = await connections.revokeConnection({ name: ada });
    expect(connection).toMatchObject({ id: connectionId, status: ConnectionStatus.REVOKED });
    expect((await failureOf(tokens.getToken({ name: ada }))).reason).toBe("CONNECTION_REVOKED");
    await connections.deleteConnection({ name: ada });
    expect((await failureOf(tokens.getToken({ name: ada }))).code).toBe("NotFound");
  });

  it("is told from another account of the user by its label, which no second one may have", async () => {
    const home = await connected();
    const work = await connected({ label: "work" });
    expect(await idOf()).toBe(home);
    expect(await idOf({ ...ada, label: "work" })).toBe(work);
    expect((await world.clients.connections.getConnection({ connectionId: work })).connection?.label).toBe(
      "work",
    );
    expect((await failureOf(request({ label: "work" }))).code).toBe("AlreadyExists");
    expect((await failureOf(request({ label: "home", connectionId: work }))).fields).toEqual(["label"]);
    await request({ label: "work", connectionId: work });
    await world.clients.connections.revokeConnection({ name: { ...ada, label: "work" } });
    expect(await connected({ label: "work" })).not.toBe(work);
  });

  it("is the one that works, of several that were requested", async () => {
    const { connectionId: waiting } = await request();
    expect(await idOf()).toBe(waiting);
    const first = await connected();
    expect(await idOf()).toBe(first);
    world.clock.advance(1);
    const second = await connected();
    expect(await idOf()).toBe(first);
    await world.clients.connections.revokeConnection({ connectionId: first });
    expect(await idOf()).toBe(second);
  });

  it("is asked for again by nexusd connect, which makes no second one", async () => {
    const connectionId = await connected();
    const nexusd = async (...args: string[]) => {
      let visit: Promise<unknown> = Promise.resolve();
      const given = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir }, outIsTTY: true });
      const openBrowser = async (url: string) => {
        visit = consent(world.browser, url);
      };
      const code = await run(args, { ...given, openBrowser });
      await visit;
      return { code, out: given.out() };
    };
    const first = await nexusd("token", "op/ada");
    expect(await nexusd("connect", "op", "--user", "ada")).toMatchObject({ code: 0 });
    const { connections } = await world.clients.connections.listConnections({});
    expect(connections).toMatchObject([{ id: connectionId, revision: 2n }]);
    const second = await nexusd("token", "op/ada");
    expect(second).toMatchObject({ code: 0 });
    expect(second.out).not.toBe(first.out);
    await world.clients.connections.revokeConnection({ connectionId });
    expect(await nexusd("connect", "op/ada")).toMatchObject({ code: 0 });
    expect(await idOf()).not.toBe(connectionId);
  });

  it("follows the name of its provider", async () => {
    const connectionId = await connected();
    const { provider } = await world.clients.providers.getProvider({ key: { case: "name", value: "op" } });
    await world.clients.providers.updateProvider({
      provider: { id: provider?.id ?? "", name: "renamed" },
      updateMask: { paths: ["name"] },
    });
    expect((await failureOf(idOf())).code).toBe("NotFound");
    expect(await idOf({ ...ada, providerName: "renamed" })).toBe(connectionId);
  });

  it("is named by an id or a name, and not by both or neither", async () => {
    const { tokens } = world.clients;
    const neither = await failureOf(tokens.getToken({}));
    expect(neither).toMatchObject({ code: "InvalidArgument", fields: ["connection_id"] });
    const both = { connectionId: await connected(), name: ada };
    expect((await failureOf(tokens.getToken(both))).fields).toEqual(["connection_id"]);
    const unknown = [
      { ...ada, userId: "bob" },
      { ...ada, label: "x" },
      { ...ada, providerName: "none" },
      { ...ada, providerName: "no name/at all" },
    ];
    for (const name of unknown) expect((await failureOf(tokens.getToken({ name }))).code).toBe("NotFound");
    expect((await failureOf(tokens.getToken({ name: { ...ada, userId: "" } }))).fields).toEqual([
      "name.user_id",
    ]);
  });

  it("is watched before it is made, and by nobody who asked for another", async () => {
    const watcher = world.watch({ names: [{ ...ada, label: "work" }] });
    expect((await watcher.next())?.case).toBe("bookmark");
    await connected();
    const work = await connected({ label: "work" });
    const state = await watcher.state(({ status }) => status === ConnectionStatus.ACTIVE);
    expect(state).toMatchObject({ connectionId: work, label: "work" });
    watcher.cancel();

    const resumed = world.watch({ names: [ada], connectionIds: [work] });
    const seen = new Set<string>();
    const end = await resumed.until((event) => {
      if (event.case === "state") seen.add(event.value.connectionId);
      return event.case === "bookmark";
    });
    expect(seen).toEqual(new Set([work, await idOf()]));
    resumed.cancel();
    if (end.case !== "bookmark" || !end.value.position) throw new Error("no position");
    await world.clients.connections.deleteConnection({ name: ada });
    const after = world.watch({ names: [ada], position: end.value.position });
    expect((await after.next())?.case).toBe("removed");
    after.cancel();
  });

  it("is a secret of Envoy, which follows the connection that has the name", async () => {
    const watcher = new SecretWatcher(socketTransport(world.place.socket));
    const names = ["nexus/op/ada/token", "nexus/op/ada/work/token", "nexus/op/%zz/token"];
    watcher.send(names);
    const empty = await watcher.next();
    expect(secretsOf(empty)).toEqual(Object.fromEntries(names.map((name) => [name, ""])));
    watcher.send(names, empty);
    const first = await connected({ label: "work" });
    const { token } = await world.clients.tokens.getToken({ connectionId: first });
    const filled = await watcher.next();
    expect(secretsOf(filled)).toEqual({ "nexus/op/ada/work/token": token?.credentials["access_token"] });
    watcher.cancel();
  });

  it("is what a proxy asks about", async () => {
    await connected({ userId: "a/b" });
    const { token } = await world.clients.tokens.getToken({ name: { ...ada, userId: "a/b" } });
    const ask = (path: string): Promise<Response> =>
      fetch(`${world.place.httpUrl}/v1/authorize/${path}`, { headers: { "x-api-key": world.place.apiKey } });
    const allowed = await ask("op/a%2Fb");
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("authorization")).toBe(`Bearer ${token?.credentials["access_token"]}`);
    for (const path of ["op/a", "op/a/b", "op/a%2Fb/work", "op/", "op"])
      expect((await ask(path)).status).toBe(403);
  });

  it("is listed by the beginning of its id", async () => {
    const id = await connected();
    await connected();
    const list = (idPrefix: string) => world.clients.connections.listConnections({ idPrefix });
    expect((await list(id.slice(0, 12))).connections.map((one) => one.id)).toEqual([id]);
    expect((await list("")).connections).toHaveLength(2);
    expect((await failureOf(list("G"))).fields).toEqual(["id_prefix"]);
  });
});
