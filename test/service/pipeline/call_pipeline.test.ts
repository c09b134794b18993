import { create, type Message } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { CountedAudit } from "../../../src/domain/access/access.js";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import { RequestGate } from "../../../src/domain/access/request_gate.js";
import { FleetService } from "../../../src/gen/nexus/fleet/v1/fleet_pb.js";
import {
  TokenService,
  TokenServiceGetTokenRequestSchema,
  WatchTokensRequestSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import type { ApiKeyRecord } from "../../../src/model/access/api_key.js";
import { Policy } from "../../../src/model/access/policy.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { InvalidArgument } from "../../../src/model/errors.js";
import { Changes } from "../../../src/runtime/changes.js";
import { drawn } from "../../../src/runtime/stream_sink.js";
import type { BoundMethod } from "../../../src/service/pipeline/bound_service.js";
import { CallPipeline } from "../../../src/service/pipeline/call_pipeline.js";
import { toWireError } from "../../../src/service/pipeline/error_table.js";
import { describedRpc } from "../../../src/service/pipeline/rpc_access.js";
import type { DefinedMethod } from "../../../src/service/pipeline/service_definition.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";

const connectionId = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00";
const ci: Principal = { name: "key:ci", kind: "key" };
const jwt: Principal = { name: "jwt:x", kind: "jwt" };

class World {
  readonly clock = new ManualClock(1_000_000);
  readonly called: string[] = [];
  readonly denied: string[] = [];
  key: Partial<ApiKeyRecord> | undefined = { role: "agent", restriction: { userIds: ["ada"] } };
  isValid = true;
  answer: Promise<Message> = Promise.resolve(create(TokenServiceGetTokenRequestSchema));
  readonly changes = new Changes();
  readonly access: AccessControl;
  readonly pipeline: CallPipeline;
  readonly #methods: readonly BoundMethod[];

  constructor() {
    const connection = {
      id: connectionId,
      userId: "ada",
      providerId: "p",
      providerName: "github",
    } as Connection;
    const nothing = () => undefined;
    const store = {
      getConnection: (id: string) => (id === connectionId ? connection : undefined),
      ...{ getProvider: nothing, providerNameOf: nothing },
      ...{ findProviderByName: nothing, getAuthorization: nothing },
    };
    const keys = { find: () => this.key as ApiKeyRecord | undefined };
    const access = new AccessControl({ keys, store, changes: this.changes, clock: this.clock });
    this.access = access;
    const validate = (): void => {
      if (!this.isValid)
        throw toWireError(new InvalidArgument([{ field: "min_ttl", description: "is bad" }]));
    };
    const methods: DefinedMethod[] = [
      {
        kind: "unary",
        descriptor: TokenService.method.getToken,
        rpc: describedRpc(TokenService.method.getToken),
        validate,
        call: async () => {
          validate();
          this.called.push("GetToken");
          return await this.answer;
        },
      },
      {
        kind: "server_streaming",
        descriptor: TokenService.method.watchTokens,
        rpc: describedRpc(TokenService.method.watchTokens),
        validate,
        open: (_, __, sink) => {
          this.called.push("WatchTokens");
          sink.send(create(WatchTokensRequestSchema));
          return { resume: () => undefined, cancel: () => this.called.push("left") };
        },
      },
    ];
    const guard = {
      access,
      gate: new RequestGate({ access, names: { find: nothing }, mcpNames: { find: nothing }, store }),
      deniedAccess: {
        record: async (_kind: string, eventOf: Parameters<CountedAudit["record"]>[1]) => {
          const { principal, reason, connectionId = "" } = eventOf({} as never);
          this.denied.push(`${principal} ${reason} ${connectionId}`.trim());
        },
      },
    };
    this.pipeline = new CallPipeline({ guard });
    this.#methods = this.pipeline.bind({ descriptor: TokenService, methods }).methods;
  }

  getToken(principal: Principal, id = connectionId): Promise<unknown> {
    const [method] = this.#methods;
    if (method?.kind !== "unary") throw new Error("no unary method");
    const request = create(TokenServiceGetTokenRequestSchema, { connectionId: id });
    const call = async () => method.call(request, { principal, signal: new AbortController().signal });
    return call().then(
      () => "ok",
      ({ code, message }: { code: number; message: string }) => `${code} ${message}`,
    );
  }

  watch(principal: Principal): AsyncIterator<Message> {
    const method = this.#methods[1];
    if (method?.kind !== "server_streaming") throw new Error("no stream");
    const request = create(WatchTokensRequestSchema);
    return drawn<Message>((sink) => method.open(request, { principal }, sink), new AbortController().signal);
  }
}

function policy(...userIds: string[]): Policy {
  return new Policy([{ principals: ["jwt:*"], role: "agent", restriction: { userIds }, line: 2 }], "digest");
}

const unauthenticated = "16 the credential of this caller is not valid any more";

describe("the policy in the pipeline of a call", () => {
  const world = perTest(() => new World());

  it("lets through what is allowed, and denies whom no rule names before anything is looked at", async () => {
    expect(await world.getToken(ci)).toBe("ok");
    world.isValid = false;
    expect(await world.getToken(jwt)).toBe("7 permission denied: requires token.read");
    expect(world.called).toEqual(["GetToken"]);
    expect(world.denied).toEqual(["jwt:x token.read"]);
  });

  it("names an error of the request before it says that the connection is not found", async () => {
    const nowhere = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1fff";
    expect(await world.getToken(ci, nowhere)).toBe("5 connection not found");
    world.isValid = false;
    expect(await world.getToken(ci, nowhere)).toBe("3 min_ttl: is bad");
    expect(await world.getToken(ci, "x".repeat(10_000))).toBe("3 min_ttl: is bad");
    expect([world.called, world.denied]).toEqual([[], [`key:ci token.read ${nowhere}`]]);
  });

  it("serves no RPC that has no options", () => {
    const { reach } = FleetService.method;
    const rpc = describedRpc(reach);
    const call = () => Promise.reject(new Error("not called"));
    const method = { kind: "unary" as const, descriptor: reach, rpc, validate: () => undefined, call };
    expect(() => world.pipeline.bind({ descriptor: FleetService, methods: [method] })).toThrow(
      "nexus.fleet.v1.FleetService/Reach has no options: its proto must say who may call it",
    );
  });

  it("cuts a call that is under way when its key is revoked", async () => {
    world.answer = new Promise(() => undefined);
    const call = world.getToken(ci);
    await Promise.resolve();
    world.key = { ...world.key, revokedAtMs: 1 };
    world.changes.emit("principalEnded", "key:ci");
    expect(await call).toBe(unauthenticated);
    expect(await world.getToken(ci)).toBe(unauthenticated);
    expect(world.denied).toEqual([]);
  });

  it("ends a stream when the secret that opened it works no more after a rotation, and no stream of the new secret", async () => {
    const old = world.watch(ci);
    await old.next();
    world.changes.emit("keyRotated", "key:ci", 1_000_900);
    const renewed = world.watch(ci);
    await renewed.next();
    const [ended, next] = [old.next(), renewed.next()];
    world.clock.advance(900);
    await expect(ended).rejects.toMatchObject({ code: 16 });
    expect(await Promise.race([next, Promise.resolve("open")])).toBe("open");
  });

  it("leaves no instant between the admission of a call and the hold on it", async () => {
    world.answer = new Promise(() => undefined);
    const narrowed = new World();
    narrowed.access.setPolicy(policy("ada"));
    const stream = world.watch(ci);
    const [call, first] = [world.getToken(ci), stream.next()];
    const other = narrowed.getToken(jwt);
    // In the very turn in which they were admitted.
    world.key = { ...world.key, revokedAtMs: 1 };
    world.changes.emit("principalEnded", "key:ci");
    narrowed.access.setPolicy(policy("bob"));
    expect(await call).toBe(unauthenticated);
    // What was sent in the turn of the admission was sent to the caller that was admitted.
    expect((await first).done).toBe(false);
    await expect(stream.next()).rejects.toMatchObject({ code: 16 });
    expect(await other).toMatch(/^14 what this caller may see has changed/);
    expect(world.called).toEqual(["GetToken", "WatchTokens", "left"]);
    expect(narrowed.called).toEqual(["GetToken"]);
  });

  it("withholds an answer that comes after the proof has ended", async () => {
    let finish!: (message: Message) => void;
    world.answer = new Promise((resolve) => {
      finish = resolve;
    });
    const call = world.getToken({ ...ci, expiresAtMs: 1_000_500 });
    world.clock.advance(500);
    finish(create(TokenServiceGetTokenRequestSchema));
    expect(await call).toBe(unauthenticated);
  });

  it("cuts calls whose principal the policy changes, and leaves those that it does not", async () => {
    world.access.setPolicy(policy("ada"));
    world.answer = new Promise(() => undefined);
    const call = world.getToken(jwt);
    const stream = world.watch(jwt);
    const mine = world.watch(ci);
    await stream.next();
    await mine.next();
    // The same again, though another object and at another line.
    const moved = policy("ada").bindings.map((one) => ({ ...one, line: 9 }));
    world.access.setPolicy(new Policy(moved, "other"));
    world.access.setPolicy(policy("ada", "bob"));
    expect(await call).toBe("14 what this caller may see has changed: connect again");
    await expect(stream.next()).rejects.toMatchObject({ code: 14 });
    const next = mine.next();
    world.access.setPolicy(undefined);
    world.key = undefined;
    world.changes.emit("principalEnded", "key:ci");
    await expect(next).rejects.toMatchObject({ code: 16 });
  });

  it("ends a stream when the policy denies it, and when the proof expires", async () => {
    world.access.setPolicy(policy("ada"));
    const denied = world.watch(jwt);
    const expiring = world.watch({ ...jwt, expiresAtMs: 1_000_900 });
    await denied.next();
    await expiring.next();
    const expired = expiring.next();
    world.clock.advance(900);
    await expect(expired).rejects.toMatchObject({ code: 16 });
    const next = denied.next();
    world.access.setPolicy(undefined);
    await expect(next).rejects.toMatchObject({ code: 7 });
  });
});
