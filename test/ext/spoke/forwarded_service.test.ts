import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { forwardedService, type UpstreamHub } from "../../../src/ext/spoke/forwarded_service.js";
import type { AnsweredToken } from "../../../src/ext/spoke/own_reads.js";
import { Authorization } from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { Spoke } from "../../../src/gen/nexus/rpc/v1/options_pb.js";
import { AccessService } from "../../../src/gen/nexus/v1/access_pb.js";
import { AuditService } from "../../../src/gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../src/gen/nexus/v1/connection_pb.js";
import { FleetService } from "../../../src/gen/nexus/v1/fleet_pb.js";
import { KeyringService } from "../../../src/gen/nexus/v1/keyring_pb.js";
import { ProviderService } from "../../../src/gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../../src/gen/nexus/v1/status_pb.js";
import {
  TokenService,
  type TokenServiceGetTokenRequest,
  TokenServiceGetTokenResponseSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import {
  DataLoss,
  FailedPrecondition,
  NotFound,
  NotLeader,
  PermissionDenied,
  Unavailable,
} from "../../../src/model/errors.js";
import type { Use } from "../../../src/model/tracing.js";
import type { CallContext } from "../../../src/service/pipeline/bound_service.js";
import { describedRpc, rpcName } from "../../../src/service/pipeline/rpc_access.js";
import type { DefinedMethod } from "../../../src/service/pipeline/service_definition.js";
import { codes, WireError } from "../../../src/service/pipeline/wire_error.js";

const agent: Principal = { name: "key:ci", kind: "key" };
const context: CallContext = { principal: agent, signal: new AbortController().signal };
const { getToken } = TokenService.method;
const { check } = Authorization.method;
const tokenOf = (revision: bigint) => create(TokenServiceGetTokenResponseSchema, { token: { revision } });

/** A spoke whose copy and whose hub the test plays. */
class World implements UpstreamHub {
  readonly steps: string[] = [];
  own: (request: Message) => Message | Promise<Message> = () => tokenOf(1n);
  hubs: () => Message = () => tokenOf(2n);

  call: UpstreamHub["call"] = async (method, _, principal) => {
    this.steps.push(`${rpcName(method)} for ${principal.name}`);
    return this.hubs();
  };

  token: AnsweredToken | undefined = { connectionId: "c1", revision: 2n };

  async copied(): Promise<AnsweredToken | undefined> {
    this.steps.push("copied");
    return this.token;
  }

  async recorded(_token: AnsweredToken, _caller: Principal, use?: Use): Promise<void> {
    this.steps.push(`recorded ${JSON.stringify(use)}`);
  }

  async ask(descriptor: DescMethodUnary, request: object = {}): Promise<Message> {
    const method: DefinedMethod = {
      kind: "unary",
      descriptor,
      rpc: descriptor === check ? { action: "token.read", spoke: Spoke.COPY } : describedRpc(descriptor),
      validate: () => undefined,
      call: (asked) => {
        this.steps.push("here");
        return this.own(asked);
      },
    };
    const { parent } = descriptor;
    const [forwarded] = forwardedService({ descriptor: parent, methods: [method] }, this).methods;
    if (forwarded?.kind !== "unary") throw new Error("not unary");
    return await forwarded.call(create(descriptor.input, request as never), context);
  }
}

const fails = (error: unknown) => (): never => {
  throw error;
};

describe("a spoke", () => {
  it("answers what its copy has", async () => {
    const world = new World();
    expect(await world.ask(getToken)).toEqual(tokenOf(1n));
    expect(world.steps).toEqual(["here"]);
  });

  const asked = ["here", "nexus.v1.TokenService/GetToken for key:ci", "copied"];

  it("asks the hub for the token that a caller may have by the rules here, once", async () => {
    const error = new NotLeader(undefined, { rule: "line 3" });
    for (const own of [fails(error), () => Promise.reject(error)]) {
      const world = new World();
      world.own = own;
      expect(await world.ask(getToken)).toMatchObject({ token: { revision: 2n } });
      expect(world.steps).toEqual([...asked, 'recorded {"rule":"line 3"}']);
    }
  });

  describe.each([new NotLeader(), new NotFound("connection")])("on %s asks the hub", (error) => {
    const later = (now: () => Message): World => {
      const world = new World();
      world.own = () => {
        world.own = now;
        throw error;
      };
      return world;
    };

    it("and answers from its copy, which has the token then", async () => {
      const world = later(() => tokenOf(3n));
      expect(await world.ask(getToken)).toEqual(tokenOf(3n));
      expect(world.steps).toEqual([...asked, "here"]);
    });

    it("and keeps the token from a caller that may not have it by the rules here", async () => {
      const refusal = new PermissionDenied("no");
      const world = later(fails(refusal));
      await expect(world.ask(getToken)).rejects.toBe(refusal);
      expect(world.steps).toEqual([...asked, "here"]);
    });

    it("once, and has the caller judged where the copy is late", async () => {
      const world = later(fails(error));
      expect(await world.ask(getToken)).toEqual(tokenOf(2n));
      expect(world.steps).toEqual([...asked, "here", "recorded undefined"]);
    });
  });

  it.each([
    new FailedPrecondition("CONNECTION_REVOKED", "it is revoked"),
    new DataLoss("it cannot be opened"),
    new Unavailable("the read cannot be recorded"),
  ])("says itself: %s", async (error) => {
    const world = new World();
    world.own = fails(error);
    await expect(world.ask(getToken)).rejects.toBe(error);
    expect(world.steps).toEqual(["here"]);
  });

  it("gives the living token when no hub gives a better one, and else says what the hub said", async () => {
    const away = new WireError(codes.unavailable, "away");
    const world = new World();
    world.hubs = fails(away);
    world.own = (request) => {
      if ((request as TokenServiceGetTokenRequest).minTtl !== undefined) throw new NotLeader();
      return tokenOf(1n);
    };
    const wish = { minTtl: { seconds: 3_600n } };
    expect(await world.ask(getToken, wish)).toEqual(tokenOf(1n));
    world.own = fails(new NotLeader());
    await expect(world.ask(getToken, wish)).rejects.toBe(away);
    await expect(world.ask(getToken)).rejects.toBe(away);
    world.own = () => tokenOf(1n);
    const refusal = new WireError(codes.permission_denied, "no");
    world.hubs = fails(refusal);
    world.own = fails(new NotLeader());
    await expect(world.ask(getToken, wish)).rejects.toBe(refusal);
  });

  it("gives out what the hub answers as it came, also where an extension answers", async () => {
    for (const method of [ConnectionService.method.listConnections, check]) {
      const world = new World();
      const answer = create(method.output);
      world.own = fails(new NotLeader());
      world.hubs = () => answer;
      expect(await world.ask(method)).toBe(answer);
    }
  });

  it("asks no hub for the keys, the policy and the streams of its own", async () => {
    for (const service of [AccessService, KeyringService, StatusService, AuditService, FleetService])
      for (const method of service.methods) {
        if (method.methodKind !== "unary") continue;
        const world = new World();
        const error = new NotFound("api_key");
        world.own = fails(error);
        await expect(world.ask(method as DescMethodUnary)).rejects.toBe(error);
        expect(world.steps).toEqual(["here"]);
      }
  });

  it("has all that writes done by a hub, and its own keys, log and status to itself", () => {
    const unary = [TokenService, ConnectionService, ProviderService, StatusService].flatMap(({ methods }) =>
      methods.filter(({ methodKind }) => methodKind === "unary"),
    );
    const own = unary.filter((method) => describedRpc(method)?.spoke !== Spoke.HUB).map(rpcName);
    expect(own).toEqual([
      "nexus.v1.TokenService/AcquireToken",
      "nexus.v1.TokenService/GetToken",
      "nexus.v1.TokenService/RefreshToken",
      "nexus.v1.StatusService/GetStatus",
      "nexus.v1.StatusService/GetActivity",
      "nexus.v1.StatusService/ListOpenStreams",
    ]);
  });
});
