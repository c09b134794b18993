import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import type { View } from "../../../../src/domain/access/access_control.js";
import { AnswerFilter } from "../../../../src/ext/spoke/forwarding/answer_filter.js";
import { ConsentRequesters } from "../../../../src/ext/spoke/forwarding/consent_requesters.js";
import {
  forwardedService,
  isForwarded,
  type UpstreamHub,
} from "../../../../src/ext/spoke/forwarding/forwarded_service.js";
import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
} from "../../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { AccessService } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuditService } from "../../../../src/gen/nexus/v1/audit_pb.js";
import { ClientKeyService } from "../../../../src/gen/nexus/v1/client_key_pb.js";
import {
  ConnectionService,
  GetConnectionResponseSchema,
  ListConnectionsResponseSchema,
} from "../../../../src/gen/nexus/v1/connection_pb.js";
import { FleetService } from "../../../../src/gen/nexus/v1/fleet_pb.js";
import { KeyringService } from "../../../../src/gen/nexus/v1/keyring_pb.js";
import { NotificationService } from "../../../../src/gen/nexus/v1/notification_pb.js";
import { ListProvidersResponseSchema, ProviderService } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../../../src/gen/nexus/v1/status_pb.js";
import {
  AcquireTokenResponseSchema,
  type Token,
  TokenService,
  type TokenServiceGetTokenRequest,
  TokenServiceGetTokenResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import {
  DataLoss,
  FailedPrecondition,
  NotFound,
  NotLeader,
  Unavailable,
} from "../../../../src/model/errors.js";
import { newId } from "../../../../src/model/ids.js";
import type { CallContext } from "../../../../src/service/pipeline/bound_service.js";
import { rpcName } from "../../../../src/service/pipeline/rpc_access.js";
import type { DefinedMethod, RemoteRpc } from "../../../../src/service/pipeline/service_definition.js";
import { codes, WireError } from "../../../../src/service/pipeline/wire_error.js";

const forwarded = [
  ...[TokenService, ConnectionService, ProviderService, ClientKeyService, NotificationService],
  Authorization,
];
const providerId = newId();
const agent: Principal = { name: "key:ci", kind: "key" };
const context: CallContext = { principal: agent, signal: new AbortController().signal };
const { getToken } = TokenService.method;
const tokenOf = (revision: bigint) => create(TokenServiceGetTokenResponseSchema, { token: { revision } });

/** A spoke whose copy and whose hub the test plays. */
class World implements UpstreamHub {
  readonly askers = new ConsentRequesters();
  readonly steps: string[] = [];
  own: (request: Message) => Message | Promise<Message> = () => tokenOf(1n);
  hubs: () => Message = () => tokenOf(2n);
  sees = (): boolean => true;
  isRestricted = true;
  /** What a name is to the caller. */
  named: string | undefined;
  copy: Pick<Token, "revision" | "credentials"> | undefined;
  /** What the caller's confinement was applied to. */
  readonly changes: unknown[] = [];
  readonly requests: Message[] = [];

  call: UpstreamHub["call"] = async (method, bytes, principal) => {
    this.steps.push(`${method} for ${principal.name}`);
    const answer = this.hubs();
    const [, service = "", name = ""] = /^(.*)\/(.*)$/.exec(method) ?? [];
    const found = forwarded.find(({ typeName }) => typeName === service);
    const descriptor = found?.methods.find((one) => one.name === name);
    if (!descriptor) throw new Error(`no ${method}`);
    this.requests.push(fromBinary(descriptor.input, bytes));
    return toBinary(descriptor.output, answer);
  };

  async copied(): Promise<void> {
    this.steps.push("copied");
  }

  async recorded(): Promise<void> {
    this.steps.push("recorded");
  }

  readonly filter = new AnswerFilter({
    access: { viewOf: () => this.#view() },
    names: { findFor: () => this.named, partsOf: () => ({ providerId }) as never },
    mcpNames: { find: () => undefined },
    reader: { view: () => this.copy && ({ token: this.copy } as never) },
  });

  #view(): View {
    const isRestricted = this.isRestricted;
    const seen = { seesConnection: () => this.sees(), seesProvider: () => this.sees() };
    const seesChange: View["seesChange"] = (change) => this.sees() && this.changes.push(change) > 0;
    return { ...seen, isRestricted, seesChange, epochOf: (epoch) => epoch };
  }

  async ask(descriptor: DescMethodUnary, request: object = {}): Promise<Message> {
    const method: DefinedMethod = {
      kind: "unary",
      descriptor,
      ...(descriptor === check && { remote }),
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

/** An RPC of an extension. */
const check = Authorization.method.check;
const routeOf = (connection: string) => ({
  attributes: { contextExtensions: { connection_id: connection } },
});
const remote: RemoteRpc = {
  nameOf: (request) => {
    const route = (request as CheckRequest).attributes?.contextExtensions["connection_id"];
    const [providerName, userId] = route?.split("/") ?? [];
    return providerName && userId ? ({ providerName, userId, label: "" } as never) : undefined;
  },
  withConnection: (_, id) => create(check.input, routeOf(id)),
  shows: (answer) => {
    const { connection_id: id } = (answer as CheckResponse).dynamicMetadata ?? {};
    return { connectionId: id as string | undefined, revision: undefined };
  },
};

const secret = "somebody-else";

/** An answer in which every field says something, as JSON. */
function filled(schema: DescMessage, depth = 0): JsonObject {
  const json: JsonObject = {};
  for (const { scalar, message, fieldKind, jsonName, oneof } of schema.fields) {
    if (fieldKind === "map" || oneof?.fields.some((field) => field.jsonName in json)) continue;
    // The hub's own, for the next request.
    if (jsonName === "nextPageToken") continue;
    let value: JsonValue | undefined = scalar === ScalarType.STRING ? secret : undefined;
    if (message?.typeName === "google.protobuf.Struct") value = { connection_id: secret };
    else if (message && depth < 3 && !message.typeName.startsWith("google."))
      value = filled(message, depth + 1);
    if (value !== undefined) json[jsonName] = fieldKind === "list" ? [value] : value;
  }
  return json;
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

  it.each([new NotLeader(), new NotFound("connection")])("asks the hub on %s, once", async (error) => {
    for (const own of [fails(error), () => Promise.reject(error)]) {
      const world = new World();
      world.own = own;
      expect(await world.ask(getToken)).toMatchObject({ token: { revision: 2n } });
      expect(world.steps).toEqual([
        "here",
        "nexus.v1.TokenService/GetToken for key:ci",
        "copied",
        "recorded",
      ]);
    }
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

  it("leaves out of lists what a caller of its own may not see", async () => {
    const world = new World();
    let isSeen = false;
    world.sees = () => {
      isSeen = !isSeen;
      return isSeen;
    };
    world.hubs = () => create(ListConnectionsResponseSchema, { connections: [{ id: "1" }, { id: "2" }] });
    const list = await world.ask(ConnectionService.method.listConnections);
    expect(list).toMatchObject({ connections: [{ id: "1" }] });
    world.hubs = () => create(ListProvidersResponseSchema, { providers: [{ id: "3" }, { id: "4" }] });
    expect(await world.ask(ProviderService.method.listProviders)).toMatchObject({ providers: [{ id: "3" }] });
    expect(world.steps).not.toContain("here");
  });

  const name = { providerName: "op", userId: "ada", label: "" };
  const [id, other] = [newId(), newId()];
  const byName: readonly (readonly [DescMethodUnary, object, object])[] = [
    [getToken, { name }, { connectionId: id }],
    [TokenService.method.refreshToken, { name }, { connectionId: id }],
    [TokenService.method.createProof, { name, method: "GET" }, { connectionId: id, method: "GET" }],
    [TokenService.method.reportRejectedToken, { name, revision: 1n }, { connectionId: id, revision: 1n }],
    [ConnectionService.method.getConnection, { name }, { connectionId: id }],
    [ConnectionService.method.revokeConnection, { name }, { connectionId: id }],
    [ConnectionService.method.deleteConnection, { name }, { connectionId: id }],
    [ConnectionService.method.refreshConnection, { name }, { connectionId: id }],
    [ConnectionService.method.replaceCredential, { name, credentials: { k: "v" } }, { connectionId: id }],
    [check, routeOf("op/ada"), routeOf(id)],
  ];

  it.each(byName)("asks for what a name is to its caller: %s", async (method, request, sent) => {
    const world = new World();
    world.own = fails(new NotLeader());
    world.hubs = () => create(method.output);
    world.named = id;
    await world.ask(method, request);
    expect(world.requests).toMatchObject([sent]);
    expect((world.requests[0] as { name?: unknown }).name).toBeUndefined();
    world.named = undefined;
    await expect(world.ask(method, request)).rejects.toBeInstanceOf(NotFound);
    expect(world.requests).toHaveLength(1);
    // Who sees all may ask for what the copy does not know.
    world.isRestricted = false;
    await world.ask(method, request);
    expect(world.requests[1]).toMatchObject(request);
  });

  const told: readonly (readonly [DescMethodUnary, object, object])[] = [
    [ConnectionService.method.getConnection, { connectionId: id }, { connection: { id: other } }],
    [ConnectionService.method.requestConnection, { userId: "ada" }, { connectionId: other }],
    [ConnectionService.method.captureCredential, {}, { connectionId: other }],
    [TokenService.method.acquireToken, name, { result: { case: "consent", value: { connectionId: other } } }],
    [check, routeOf(id), { dynamicMetadata: { connection_id: other } }],
    [ProviderService.method.getProvider, {}, { provider: { id: other } }],
  ];

  it.each(told)("gives no answer of what its caller may not see: %s", async (method, request, answer) => {
    const world = new World();
    world.own = fails(new NotLeader());
    world.hubs = () => create(method.output, answer as never);
    world.sees = () => false;
    await expect(world.ask(method, request)).rejects.toBeInstanceOf(NotFound);
    expect(world.steps).not.toContain("recorded");
    world.sees = () => true;
    expect(await world.ask(method, request)).toMatchObject(answer);
  });

  it("judges a link that its copy has not by what was asked", async () => {
    const world = new World();
    world.own = fails(new NotLeader());
    const result = { case: "consent" as const, value: { connectionId: other } };
    world.hubs = () => create(AcquireTokenResponseSchema, { result });
    await world.ask(TokenService.method.acquireToken, name);
    expect(world.changes).toEqual([{ connectionId: other, userId: "ada", providerId }]);
  });

  it("gives the token of a name only where it is that of the connection which the caller sees", async () => {
    const world = new World();
    world.own = fails(new NotLeader());
    const credentials = { access_token: "of-the-first" };
    const token = { revision: 2n, credentials };
    world.hubs = () => create(AcquireTokenResponseSchema, { result: { case: "token", value: token } });
    const acquired = () => world.ask(TokenService.method.acquireToken, name);
    await expect(acquired()).rejects.toBeInstanceOf(NotFound);
    world.named = id;
    for (const revision of [undefined, 1n]) {
      world.copy = revision === undefined ? undefined : { revision, credentials };
      await expect(acquired()).rejects.toBeInstanceOf(Unavailable);
    }
    world.copy = { revision: 2n, credentials: { access_token: "of-another" } };
    await expect(acquired()).rejects.toBeInstanceOf(NotFound);
    world.copy = { revision: 2n, credentials };
    expect(await acquired()).toMatchObject({ result: { value: token } });
  });

  it("drops what a newer hub says beside what is known", async () => {
    const world = new World();
    const answer = create(GetConnectionResponseSchema, { connection: { id } });
    // Another connection in a field that this version does not know.
    answer.$unknown = [{ no: 99, wireType: WireType.LengthDelimited, data: Buffer.from("\x03bob") }];
    world.hubs = () => answer;
    const told = await world.ask(ConnectionService.method.getConnection, { connectionId: id });
    expect(
      Buffer.from(toBinary(GetConnectionResponseSchema, told as typeof answer)).toString(),
    ).not.toContain("bob");
  });

  /** RPCs whose answers say nothing but of what the request named, which was judged before. */
  const ofRequest = [
    "CreateProvider",
    "UpdateProvider",
    "DeleteProvider",
    "ListProviderTemplates",
    "DeleteConnection",
    "GetCaptureSchema",
    "GetToken",
    "RefreshToken",
    "ReportRejectedToken",
    "CreateProof",
    "ListClientKeys",
    "RotateClientKeys",
    "TestReceivers",
  ];
  const unary = forwarded.flatMap(({ methods }) =>
    methods.filter(({ methodKind }) => methodKind === "unary"),
  );

  it.each(unary)(
    "shows a caller who sees nothing nothing, in the answer of each RPC: $name",
    async (method) => {
      const world = new World();
      world.sees = () => false;
      world.named = id;
      world.own = fails(new NotLeader());
      world.hubs = () => fromJson(method.output, filled(method.output));
      const told = await world
        .ask(method as DescMethodUnary, { ...(method === check && routeOf(id)) })
        .catch((error: unknown) => error);
      if (ofRequest.includes(method.name)) expect(told).toHaveProperty("$typeName");
      else if (told instanceof Error)
        expect(told).toMatchObject({ kind: expect.stringMatching(/not_found|unavailable/) });
      else expect(toJsonString(method.output, told as never)).not.toContain(secret);
    },
  );

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
    const own = unary.filter((method) => !isForwarded(method)).map(rpcName);
    expect(own).toEqual([
      "nexus.v1.TokenService/AcquireToken",
      "nexus.v1.TokenService/GetToken",
      "nexus.v1.StatusService/GetStatus",
      "nexus.v1.StatusService/GetActivity",
      "nexus.v1.StatusService/ListOpenStreams",
    ]);
  });
});
