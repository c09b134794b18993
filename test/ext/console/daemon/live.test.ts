import { request } from "node:http";
import { Code } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { World } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";

/** What a browser would be told by Server-Sent Events. */
class Events {
  text = "";
  status = 0;
  readonly ended: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor(visitor: ConsoleVisitor, path: string) {
    const sent = request(new URL(path, visitor.origin), {
      agent: false,
      headers: { cookie: visitor.cookie },
    });
    onTestFinished(() => void sent.destroy());
    this.ended = new Promise((resolve) => {
      sent.once("response", (response) => {
        this.status = response.statusCode ?? 0;
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          this.text += chunk;
          for (const look of this.#waiting) look();
        });
        response.once("close", resolve);
      });
      sent.once("error", () => resolve());
    });
    sent.end();
  }

  async until(pass: (text: string) => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (pass(this.text)) resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}

describe("the console's stream", () => {
  const world = perSuite(() => World.make());

  it("holds no token and no secret, before and after a refresh", async () => {
    const connectionId = await world.connect(await world.register());
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const events = new Events(visitor, `/connections/live?id=${connectionId}`);
    await events.until((text) => text.includes("event: replace"));
    const tokens: string[] = [];
    const keep = async () => {
      const { token } = await world.clients.tokens.getToken({ connectionId, includeIdToken: true });
      tokens.push(token?.credentials["access_token"] ?? "", token?.idToken ?? "");
    };
    await keep();
    await world.clients.connections.refreshConnection({ connectionId });
    await events.until((text) => text.split("event: replace").length === 3);
    await keep();
    const secrets = [...tokens.filter((token) => token !== ""), world.provider.clients.post.clientSecret];
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.filter((secret) => events.text.includes(secret))).toEqual([]);
    const { events: audited } = await world.clients.audit.listAuditEvents({ connectionId });
    // The reads are those of this test: looking at the console is none.
    expect(audited.filter(({ eventType }) => eventType === "token_retrieved")).toHaveLength(2);
  });

  it("ends when its person signs out, and does not come back", async () => {
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const events = new Events(visitor, "/connections/live");
    await events.until((text) => text.includes("retry"));
    const again = new ConsoleVisitor(visitor.origin);
    again.cookie = visitor.cookie;
    await visitor.visit("/sign-out", { form: { form_token: await visitor.formToken() } });
    await events.ended;
    expect((await again.visit("/connections/live")).status).toBe(401);
  });

  it("ends when its key is revoked", async () => {
    const clients = await clientsWithKey(world, { name: "ops", role: Role.OPERATOR });
    const visitor = await ConsoleVisitor.signedIn(clients);
    const events = new Events(visitor, "/connections/live");
    await events.until((text) => text.includes("retry"));
    await world.clients.access.revokeApiKey({ key: { case: "name", value: "ops" } });
    await events.ended;
  });

  it("ends when the daemon does, at once", async () => {
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const events = new Events(visitor, "/connections/live");
    await events.until((text) => text.includes("retry"));
    await world.restart();
    await events.ended;
  });

  it("ends when its session does", async () => {
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const events = new Events(visitor, "/connections/live");
    await events.until((text) => text.includes("retry"));
    world.clock.advance(8 * 3_600_000);
    await events.ended;
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
