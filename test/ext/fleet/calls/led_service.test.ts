import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Leader, ledService } from "../../../../src/ext/fleet/calls/led_service.js";
import { AccessService } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuditService } from "../../../../src/gen/nexus/v1/audit_pb.js";
import { GetProviderResponseSchema, ProviderService } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { AlreadyExists, NotFound, NotLeader } from "../../../../src/model/errors.js";
import type { CallContext } from "../../../../src/service/pipeline/bound_service.js";
import { describedRpc } from "../../../../src/service/pipeline/rpc_access.js";
import type { DefinedMethod } from "../../../../src/service/pipeline/service_definition.js";

const agent: Principal = { name: "key:ci", kind: "key" };
const context: CallContext = { principal: agent, signal: new AbortController().signal };
const { listAuditEvents } = AuditService.method;
const { getProvider, createProvider } = ProviderService.method;
const { getToken } = TokenService.method;
const { createApiKey } = AccessService.method;

/** A hub whose two RPCs the test plays, and the leader that it asks. */
class World implements Leader {
  isHere = false;
  ignoresLimits = false;
  isWait = false;
  readonly steps: string[] = [];
  own: (call: number) => Message | Promise<Message> = () => create(GetProviderResponseSchema);
  answered: Uint8Array | "here" = toBinary(
    GetProviderResponseSchema,
    create(GetProviderResponseSchema, { provider: { name: "of the leader" } }),
  );

  call: Leader["call"] = async (method, _, principal, _signal, wait) => {
    const waiting = wait === "none" ? "" : `, whose wait is ${wait}`;
    this.steps.push(`${method} for ${principal.name}${waiting}`);
    return this.answered;
  };

  limited: Leader["limited"] = (work) => {
    this.steps.push("limited");
    return work;
  };

  async catchUp(): Promise<void> {
    this.steps.push("caught up");
  }

  async recorded(): Promise<void> {
    this.steps.push("recorded");
  }

  async ask(
    descriptor:
      | typeof getProvider
      | typeof createProvider
      | typeof listAuditEvents
      | typeof getToken
      | typeof createApiKey,
    request: object = {},
  ): Promise<Message> {
    const method: DefinedMethod = {
      kind: "unary",
      descriptor,
      rpc: describedRpc(descriptor),
      validate: () => undefined,
      isWait: () => this.isWait,
      call: () => {
        this.steps.push("here");
        return this.own(this.steps.filter((step) => step === "here").length);
      },
    };
    const [led] = ledService({ descriptor: ProviderService, methods: [method] }, this).methods;
    if (led?.kind !== "unary") throw new Error("not unary");
    return await led.call(create(descriptor.input as never, request as never), context);
  }
}

const limits: readonly [string, object][] = [
  ["labels", { restriction: { labels: ["work"] } }],
  ["methods", { restriction: { methods: ["GET"] } }],
  ["paths", { restriction: { paths: ["/v1/*"] } }],
  ["a lease", { lease: { seconds: 60n } }],
  ["uses", { uses: { uses: 20 } }],
];

describe("a hub of a fleet that still takes hubs which ignore limits of keys", () => {
  it.each(
    limits.flatMap(([name, request]) => [true, false].map((isHere) => [name, isHere, request] as const)),
  )("makes no key with %s (leads: %s)", async (_, isHere, request) => {
    const world = new World();
    Object.assign(world, { isHere, ignoresLimits: true });
    await expect(async () => await world.ask(createApiKey, request)).rejects.toMatchObject({
      reason: "OLDER_HUBS",
      message: expect.stringContaining("nexusd fleet migrate --contract"),
    });
    expect(world.steps).toEqual([]);
    world.ignoresLimits = false;
    await world.ask(createApiKey, request);
    expect(world.steps.length).toBe(1);
  });

  it("makes keys whose limits those hubs know", async () => {
    const world = new World();
    world.ignoresLimits = true;
    await world.ask(createApiKey, { restriction: { userIds: ["ada"], providers: ["acme"] } });
    expect(world.steps).toEqual(["nexus.v1.AccessService/CreateApiKey for key:ci"]);
  });
});

const mustWrite = (): never => {
  throw new NotLeader();
};

describe("a hub", () => {
  it("reads the audit log when what it has put on record is there, whoever leads", async () => {
    for (const isHere of [true, false]) {
      const world = new World();
      world.isHere = isHere;
      await world.ask(listAuditEvents);
      expect(world.steps).toEqual(["recorded", "here"]);
    }
  });

  it("answers what it can answer", async () => {
    const world = new World();
    await world.ask(getProvider);
    expect(world.steps).toEqual(["here"]);
  });

  it("has the leader do what writes, for the caller, without trying itself", async () => {
    const world = new World();
    await world.ask(createProvider);
    expect(world.steps).toEqual(["nexus.v1.ProviderService/CreateProvider for key:ci"]);
  });

  it.each([
    ["throws", mustWrite],
    ["rejects", async () => mustWrite()],
  ])("asks the leader where its own RPC %s because it must write", async (_, own) => {
    const world = new World();
    world.own = own;
    expect(await world.ask(getProvider)).toMatchObject({ provider: { name: "of the leader" } });
    expect(world.steps).toEqual(["here", "nexus.v1.ProviderService/GetProvider for key:ci"]);
  });

  it.each([
    [undefined, "meant"],
    ["person", "person"],
    ["exchange", "exchange"],
  ] as const)("tells the leader of a wait (over for: %s)", async (waitedFor, word) => {
    const world = new World();
    world.isWait = true;
    world.own = () => Promise.reject(new NotLeader(waitedFor));
    await world.ask(getProvider);
    expect(world.steps.at(-1)).toBe(`nexus.v1.ProviderService/GetProvider for key:ci, whose wait is ${word}`);
  });

  it("lets the leader take as long as a person may, for a request that is shown to its rules", async () => {
    const world = new World();
    world.own = mustWrite;
    world.answered = new Uint8Array();
    await world.ask(getToken, { request: { method: "GET", url: "https://api.example/" } });
    expect(world.steps.at(-1)).toBe("nexus.v1.TokenService/GetToken for key:ci, whose wait is meant");
  });

  it("believes that something does not exist when it has caught up", async () => {
    const world = new World();
    world.own = (call) => {
      if (call === 1) throw new NotFound("provider");
      return create(GetProviderResponseSchema);
    };
    await world.ask(getProvider);
    expect(world.steps).toEqual(["here", "caught up", "here"]);
    const gone = new World();
    gone.own = () => Promise.reject(new NotFound("provider"));
    await expect(gone.ask(getProvider)).rejects.toBeInstanceOf(NotFound);
    expect(gone.steps).toEqual(["here", "caught up", "here"]);
  });

  it("tells its caller of every other error", async () => {
    const world = new World();
    world.own = () => Promise.reject(new AlreadyExists("taken"));
    await expect(world.ask(getProvider)).rejects.toBeInstanceOf(AlreadyExists);
    expect(world.steps).toEqual(["here"]);
  });

  it("limits what it does itself, but no wait for a person and nothing that is answered at once", async () => {
    const limitedAt = async (setup: Partial<World>, request: object = {}) => {
      const world = Object.assign(new World(), { isHere: true }, setup);
      await world.ask(getToken, request);
      return world.steps.includes("limited");
    };
    const own = async () => create(GetProviderResponseSchema);
    expect(await limitedAt({ own })).toBe(true);
    expect(await limitedAt({})).toBe(false);
    expect(await limitedAt({ own, isWait: true })).toBe(false);
    expect(await limitedAt({ own }, { request: { method: "GET", url: "https://api.example/" } })).toBe(false);
  });

  it("does itself what it may do, while it leads or when it has come to lead", async () => {
    const world = new World();
    world.isHere = true;
    await world.ask(createProvider);
    expect(world.steps).toEqual(["here"]);
    const taking = new World();
    taking.answered = "here";
    await taking.ask(createProvider);
    expect(taking.steps).toEqual(["nexus.v1.ProviderService/CreateProvider for key:ci", "here"]);
  });
});
