import { create, type Message } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { OwnReads } from "../../../src/daemon/spoke/own_reads.js";
import { CheckResponseSchema } from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import {
  ConnectionServiceRequestConnectionRequestSchema,
  ConnectionServiceRequestConnectionResponseSchema,
} from "../../../src/gen/nexus/v1/connection_pb.js";
import {
  CreateProviderRequestSchema,
  CreateProviderResponseSchema,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenRequestSchema,
  AcquireTokenResponseSchema,
  TokenServiceGetTokenRequestSchema,
  TokenServiceGetTokenResponseSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { Unavailable } from "../../../src/model/errors.js";
import { newId } from "../../../src/model/ids.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";

const agent: Principal = { name: "key:ci", kind: "key" };
const id = newId();

/** A copy that the test fills. */
class World {
  readonly clock = new ManualClock(0);
  copied: Pick<Connection, "credentialRevision" | "status"> | undefined;
  readonly reads: unknown[] = [];
  lists = 0;
  readonly own = new OwnReads({
    store: { getConnection: (asked) => (asked === id ? (this.copied as Connection) : undefined) },
    sight: {
      connectionOf: () => (this.copied ? id : undefined),
      nameOf: ({ userId, label }) => ({ providerName: "of-its-server", userId, label }),
    },
    readAudit: { read: (caller, ...read) => void this.reads.push([caller.name, ...read]) },
    isConnected: () => true,
    takeProviders: async () => void this.lists++,
    clock: this.clock,
  });

  /** Whether the answer waits for the copy. */
  async waits(request: Message, answer: Message): Promise<boolean> {
    let isOver = false;
    const over = this.own.copied(request, answer, agent).then(() => {
      isOver = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    const isWaiting = !isOver;
    this.copied = { credentialRevision: 7n, status: "active" };
    await expect.poll(() => this.#passed() && isOver, { interval: 1 }).toBe(true);
    await over;
    return isWaiting;
  }

  #passed(): true {
    this.clock.advance(10);
    return true;
  }
}

const token = { revision: 7n };
const acquired = create(AcquireTokenResponseSchema, { result: { case: "token", value: token } });
const byServer = create(AcquireTokenRequestSchema, { mcpServerUrl: "https://mcp.test/", userId: "ada" });
const read: readonly (readonly [string, Message, Message])[] = [
  [
    "a token",
    create(TokenServiceGetTokenRequestSchema, { connectionId: id }),
    create(TokenServiceGetTokenResponseSchema, { token }),
  ],
  ["a token of an MCP server", byServer, acquired],
  [
    "what a proxy is given",
    create(TokenServiceGetTokenRequestSchema),
    create(CheckResponseSchema, { dynamicMetadata: { connection_id: id, revision: "7" } }),
  ],
];

describe("what a hub answers a spoke", () => {
  it.each(read)("is copied, and on record: %s", async (_, request, answer) => {
    const world = new World();
    expect(await world.waits(request, answer)).toBe(true);
    await world.own.recorded(request, answer, agent);
    expect(world.reads).toEqual([["key:ci", id, 7n]]);
  });

  it("is not given when its read cannot be recorded", async () => {
    const world = new World();
    await expect(world.own.recorded(byServer, acquired, agent)).rejects.toBeInstanceOf(Unavailable);
    expect(world.reads).toEqual([]);
  });

  it.each([
    [
      create(ConnectionServiceRequestConnectionRequestSchema),
      create(ConnectionServiceRequestConnectionResponseSchema, { connectionId: id }),
    ],
    [
      byServer,
      create(AcquireTokenResponseSchema, { result: { case: "consent", value: { connectionId: id } } }),
    ],
  ])("may be a link, whose connection is copied: %#", async (request, answer) => {
    const world = new World();
    expect(await world.waits(request, answer)).toBe(true);
    await world.own.recorded(request, answer, agent);
    expect(world.reads).toEqual([]);
  });

  it("may be a profile, and then all are told", async () => {
    const world = new World();
    const request = create(CreateProviderRequestSchema);
    await world.own.copied(request, create(CreateProviderResponseSchema), agent);
    expect(world.lists).toBe(1);
  });
});
