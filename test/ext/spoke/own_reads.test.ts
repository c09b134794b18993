import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { OwnReads } from "../../../src/ext/spoke/own_reads.js";
import { Authorization } from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { ConnectionService } from "../../../src/gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../src/gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { PermissionDenied, Unavailable } from "../../../src/model/errors.js";
import { newId } from "../../../src/model/ids.js";
import type { Use } from "../../../src/model/tracing.js";
import { Changes } from "../../../src/runtime/changes.js";
import { describedRpc } from "../../../src/service/pipeline/rpc_access.js";
import { ManualClock } from "../../fakes/manual_clock.js";

const agent: Principal = { name: "key:ci", kind: "key" };
const id = newId();

/** A copy that the test fills. */
class World {
  readonly clock = new ManualClock(0);
  readonly changes = new Changes();
  copied: Pick<Connection, "credentialRevision" | "status"> | undefined;
  readonly reads: unknown[] = [];
  readonly held: unknown[] = [];
  lists = 0;
  ruling: Promise<Use> | undefined;
  readonly own = new OwnReads({
    store: { getConnection: (asked) => (asked === id ? (this.copied as Connection) : undefined) },
    access: { permissionsFor: () => ({}) as never },
    gate: {
      connectionOf: (_, asked) => ("connectionId" in asked ? asked.connectionId : this.copied && id),
    },
    readAudit: { read: (caller, ...read) => void this.reads.push([caller.name, ...read]) },
    tokens: { admitted: () => this.ruling },
    isConnected: () => true,
    takeProviders: async () => void this.lists++,
    hold: async (held, token) => {
      this.held.push([held, token.revision]);
      this.copied = { credentialRevision: token.revision, status: "active" };
    },
    changes: this.changes,
    clock: this.clock,
  });

  /** @returns whether the answer waits for the copy, which has it then */
  async waits(descriptor: DescMethodUnary, request: object, answer: object): Promise<boolean> {
    const isRemote = descriptor.parent.typeName === Authorization.typeName;
    const shows = () => ({ connectionId: id, revision: 7n });
    const asked = () => ({ kind: "connection", connectionId: id });
    const rpc = isRemote ? { action: "token.read", asked, shows } : describedRpc(descriptor);
    const method = { kind: "unary", descriptor, rpc } as never;
    const messages: [Message, Message] = [
      create(descriptor.input, request as never),
      create(descriptor.output, answer as never),
    ];
    const copied = this.own.copied(method, ...messages, agent);
    const over = copied.then((token) => token && this.own.recorded(token, agent));
    let isOver = false;
    over.then(
      () => {
        isOver = true;
      },
      () => undefined,
    );
    await new Promise((resolve) => setImmediate(resolve));
    const isWaiting = !isOver;
    if (isWaiting) this.copied = { credentialRevision: 7n, status: "active" };
    this.changes.emit("connections", []);
    await over;
    return isWaiting;
  }
}

const { acquireToken, getToken, refreshToken } = TokenService.method;
const byServer = { mcpServerUrl: "https://mcp.test/", userId: "ada" };
const acquired = { result: { case: "token", value: { revision: 7n } } } as const;
const audience = "https://api.test";
const read: readonly (readonly [string, DescMethodUnary, object, object])[] = [
  ["a downscoped token", getToken, { connectionId: id, audience }, { token: { revision: 7n } }],
  ["a token of an MCP server", acquireToken, byServer, acquired],
  ["what a proxy is given", Authorization.method.check, {}, {}],
];

describe("what a hub answers a spoke", () => {
  it.each(read)("is copied, and on record: %s", async (_, method, request, answer) => {
    const world = new World();
    expect(await world.waits(method, request, answer)).toBe(true);
    expect(world.reads).toEqual([["key:ci", id, 7n, 1, undefined]]);
    expect(world.held).toEqual([]);
  });

  it("is not given when its read cannot be recorded", async () => {
    const world = new World();
    const answer = create(acquireToken.output, acquired);
    const over = world.own
      .copied(
        { kind: "unary", descriptor: acquireToken, rpc: describedRpc(acquireToken) } as never,
        ...([create(acquireToken.input, byServer), answer, agent] as const),
      )
      .then((token) => token && world.own.recorded(token, agent));
    world.clock.advance(2_000);
    await expect(over).rejects.toBeInstanceOf(Unavailable);
    expect(world.reads).toEqual([]);
  });

  it("is held when it is the token of the connection, which the stream may tell late", async () => {
    const world = new World();
    expect(await world.waits(refreshToken, { connectionId: id }, { token: { revision: 7n } })).toBe(false);
    expect(world.held).toEqual([[id, 7n]]);
    expect(world.reads).toEqual([["key:ci", id, 7n, 1, undefined]]);
  });

  it("is on record with what the caller was admitted to, which is asked once", async () => {
    const world = new World();
    world.ruling = Promise.reject(new PermissionDenied("asked twice"));
    world.ruling.catch(() => undefined);
    await world.own.recorded({ connectionId: id, revision: 7n }, agent, { rule: "line 3" });
    expect(world.reads).toEqual([["key:ci", id, 7n, 1, { rule: "line 3" }]]);
  });

  it("is not given to a caller whom the rules here give no token", async () => {
    const world = new World();
    world.ruling = Promise.reject(new PermissionDenied("no"));
    const asked = world.waits(refreshToken, { connectionId: id }, { token: { revision: 7n } });
    await expect(asked).rejects.toBeInstanceOf(PermissionDenied);
    expect(world.reads).toEqual([]);
  });

  it("may be a link, whose connection is copied", async () => {
    const world = new World();
    const link = { result: { case: "consent", value: { connectionId: id } } } as const;
    expect(await world.waits(acquireToken, byServer, link)).toBe(true);
    expect(world.reads).toEqual([]);
  });

  it("may be the end of a connection", async () => {
    const world = new World();
    world.copied = { credentialRevision: 7n, status: "active" };
    const { deleteConnection } = ConnectionService.method;
    const request = create(deleteConnection.input, { connectionId: id });
    let isOver = false;
    const over = world.own
      .copied(
        { kind: "unary", descriptor: deleteConnection, rpc: describedRpc(deleteConnection) } as never,
        request,
        create(deleteConnection.output),
        agent,
      )
      .then(() => {
        isOver = true;
      });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    world.copied = undefined;
    world.changes.emit("connections", []);
    await over;
  });

  it("may be a profile, and then all are told", async () => {
    const world = new World();
    await world.waits(ProviderService.method.createProvider, {}, {});
    await world.waits(ProviderService.method.getProvider, {}, {});
    expect(world.lists).toBe(1);
  });
});
