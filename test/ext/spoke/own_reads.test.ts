import { create, type Message } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { AnswerFacts } from "../../../src/ext/spoke/forwarding/answer_facts.js";
import { AnswerFilter } from "../../../src/ext/spoke/forwarding/answer_filter.js";
import { OwnReads } from "../../../src/ext/spoke/own_reads.js";
import { CheckRequestSchema } from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { CreateProviderRequestSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenRequestSchema,
  RefreshTokenRequestSchema,
  TokenSchema,
  TokenServiceGetTokenRequestSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { Unavailable } from "../../../src/model/errors.js";
import { newId } from "../../../src/model/ids.js";
import { Changes } from "../../../src/runtime/changes.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";

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
  readonly own = new OwnReads({
    store: { getConnection: (asked) => (asked === id ? (this.copied as Connection) : undefined) },
    filter: new AnswerFilter({
      access: { viewOf: () => ({}) as never },
      names: { findFor: () => (this.copied ? id : undefined), partsOf: () => undefined },
      mcpNames: { find: () => ({ name: "of-its-server" }) as never },
      reader: { view: () => undefined },
    }),
    readAudit: { read: (caller, ...read) => void this.reads.push([caller.name, ...read]) },
    isConnected: () => true,
    takeProviders: async () => void this.lists++,
    hold: async (held, token) => {
      this.held.push([held, token.revision]);
      this.copied = { credentialRevision: token.revision, status: "active" };
    },
    changes: this.changes,
    clock: this.clock,
  });

  /** Whether the answer waits for the copy. */
  async waits(request: Message, facts: AnswerFacts): Promise<boolean> {
    let isOver = false;
    const over = this.own.copied(request, facts, agent).then(() => {
      isOver = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    const isWaiting = !isOver;
    this.copied = { credentialRevision: 7n, status: "active" };
    this.changes.emit("connections", []);
    await over;
    return isWaiting;
  }
}

const byServer = create(AcquireTokenRequestSchema, { mcpServerUrl: "https://mcp.test/", userId: "ada" });
const acquired = { acquired: create(TokenSchema, { revision: 7n }), revision: 7n };
const read: readonly (readonly [string, Message, AnswerFacts])[] = [
  ["a token", create(TokenServiceGetTokenRequestSchema, { connectionId: id }), { revision: 7n }],
  ["a token of an MCP server", byServer, acquired],
  ["what a proxy is given", create(CheckRequestSchema), { connectionId: id, revision: 7n }],
];

describe("what a hub answers a spoke", () => {
  it.each(read)("is copied, and on record: %s", async (_, request, facts) => {
    const world = new World();
    expect(await world.waits(request, facts)).toBe(true);
    await world.own.recorded(request, facts, agent);
    expect(world.reads).toEqual([["key:ci", id, 7n]]);
  });

  it("is not given when its read cannot be recorded", async () => {
    const world = new World();
    await expect(world.own.recorded(byServer, acquired, agent)).rejects.toBeInstanceOf(Unavailable);
    expect(world.reads).toEqual([]);
  });

  it("is held when it is the token of the connection, which the stream may tell late", async () => {
    const token = create(TokenSchema, { revision: 7n });
    const facts = { revision: 7n, token };
    const asked = create(RefreshTokenRequestSchema, { connectionId: id });
    const world = new World();
    expect(await world.waits(asked, facts)).toBe(false);
    expect(world.held).toEqual([[id, 7n]]);
    // A downscoped one is another.
    const downscoped = create(TokenServiceGetTokenRequestSchema, {
      connectionId: id,
      audience: "https://api.test",
    });
    const other = new World();
    expect(await other.waits(downscoped, facts)).toBe(true);
    expect(other.held).toEqual([]);
  });

  it("may be a link, whose connection is copied", async () => {
    const world = new World();
    expect(await world.waits(byServer, { connectionId: id })).toBe(true);
    await world.own.recorded(byServer, { connectionId: id }, agent);
    expect(world.reads).toEqual([]);
  });

  it("may be a profile, and then all are told", async () => {
    const world = new World();
    await world.own.copied(create(CreateProviderRequestSchema), { changes: "providers" }, agent);
    expect(world.lists).toBe(1);
  });
});
