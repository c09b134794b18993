import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { World } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";

describe("what the console shows of a connection", () => {
  const world = perSuite(() => World.make());

  it("holds no token and no secret, before and after a refresh", async () => {
    const connectionId = await world.connect(await world.register());
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const pages: string[] = [];
    const tokens: string[] = [];
    const look = async () => {
      for (const path of ["/connections", `/connections/${connectionId}`])
        pages.push((await visitor.visit(path)).body);
      const { token } = await world.clients.tokens.getToken({ connectionId, includeIdToken: true });
      tokens.push(token?.credentials["access_token"] ?? "", token?.idToken ?? "");
    };
    await look();
    await world.clients.connections.refreshConnection({ connectionId });
    await look();
    const secrets = [...tokens.filter((token) => token !== ""), world.provider.clients.post.clientSecret];
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.filter((secret) => pages.join("").includes(secret))).toEqual([]);
    const { events: audited } = await world.clients.audit.listAuditEvents({ connectionId });
    // The reads are those of this test: looking at the console is none.
    expect(audited.filter(({ eventType }) => eventType === "token_retrieved")).toHaveLength(2);
  });

  it("is shown no more once its person signed out, its key was revoked, or its session ended", async () => {
    const clients = await clientsWithKey(world, { name: "ops-0", role: Role.OPERATOR });
    const [out, revoked, late] = [
      await ConsoleVisitor.signedIn(world.clients),
      await ConsoleVisitor.signedIn(clients),
      await ConsoleVisitor.signedIn(world.clients),
    ];
    const { cookie } = out;
    await out.visit("/sign-out", { form: { form_token: await out.formToken() } });
    out.cookie = cookie;
    await world.clients.access.revokeApiKey({ key: { case: "name", value: "ops-0" } });
    expect((await late.visit("/connections")).status).toBe(200);
    world.clock.advance(8 * 3_600_000);
    for (const visitor of [out, revoked, late])
      expect((await visitor.visit("/connections")).status).toBe(401);
  });
});

describe("whoever looks after connections and reads no tokens", () => {
  const world = perSuite(() => World.make());

  it("has them refreshed, and gets the connection alone", async () => {
    const connectionId = await world.connect(await world.register("op-2"));
    const clients = await clientsWithKey(world, { name: "ops", role: Role.OPERATOR });
    await expect(clients.tokens.refreshToken({ connectionId })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
    const { connection } = await clients.connections.refreshConnection({ connectionId });
    expect(connection).toMatchObject({ id: connectionId, revision: 2n, status: ConnectionStatus.ACTIVE });
    const asked = async () =>
      (await world.clients.audit.listAuditEvents({ connectionId })).events
        .filter(({ eventType }) => eventType.startsWith("token_refresh"))
        .map(({ eventType, principal, revision }) => [eventType, principal, revision]);
    const first = [
      ["token_refreshed", "daemon", 0n],
      ["token_refresh_requested", "key:ops", 1n],
    ];
    expect(await asked()).toEqual(first);
    const visitor = await ConsoleVisitor.signedIn(clients);
    const form = { form_token: await visitor.formToken() };
    const answer = await visitor.visit(`/connections/${connectionId}/refresh`, { form });
    expect(await asked()).toEqual([
      ["token_refreshed", "daemon", 0n],
      ["token_refresh_requested", "key:ops", 2n],
      ...first,
    ]);
    expect([answer.status, answer.headers["location"]]).toEqual([
      303,
      `/connections/${connectionId}?notice=refreshed`,
    ]);
  });

  it("is told of their changes", async () => {
    const providerId = await world.register("op-4");
    const connectionId = await world.connect(providerId);
    const clients = await clientsWithKey(world, { name: "ops-2", role: Role.OPERATOR });
    const stop = new AbortController();
    const stream = clients.connections.watchConnections(
      { connectionIds: [connectionId] },
      { signal: stop.signal },
    );
    const seen: unknown[] = [];
    for await (const { event } of stream) {
      seen.push(event.case === "connection" ? [event.value.revision, event.value.status] : event);
      if (seen.length === 1) await clients.connections.refreshConnection({ connectionId });
      if (seen.length === 2) await clients.connections.deleteConnection({ connectionId });
      if (seen.length === 3) break;
    }
    stop.abort();
    expect(seen).toEqual([
      [1n, ConnectionStatus.ACTIVE],
      [2n, ConnectionStatus.ACTIVE],
      { case: "removedConnectionId", value: connectionId },
    ]);
  });

  it("sees its own connections alone where it is restricted, and leaves no denial behind by looking", async () => {
    const providerId = await world.register("op-3");
    const [own, other] = [await world.connect(providerId, "ada"), await world.connect(providerId, "grace")];
    const clients = await clientsWithKey(world, {
      name: "agent",
      role: Role.AGENT,
      restriction: { userIds: ["ada"] },
    });
    const visitor = await ConsoleVisitor.signedIn(clients);
    const list = await visitor.visit("/connections");
    expect([list.body.includes(own), list.body.includes(other)]).toEqual([true, false]);
    const page = await visitor.visit(`/connections/${own}`);
    expect([page.status, page.body.includes("for the roles admin and operator")]).toEqual([200, true]);
    const events = async () =>
      (await world.clients.audit.listAuditEvents({ eventType: "access.denied" })).events.flatMap(
        ({ principal, reason }) => (principal === "key:agent" ? [reason] : []),
      );
    expect(await events()).toEqual([]);
    expect((await visitor.visit(`/connections/${other}`)).status).toBe(404);
    expect(await events()).toEqual(["connection.read"]);
  });
});
