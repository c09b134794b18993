import { randomBytes } from "node:crypto";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import type { HeldRequest } from "../../../../src/domain/access/request_rules.js";
import { fleetService } from "../../../../src/ext/fleet/calls/fleet_service.js";
import { askHubs, askTimes } from "../../../../src/ext/fleet/link/ask_hubs.js";
import { fleetListener } from "../../../../src/ext/fleet/link/fleet_listener.js";
import { LeaderCalls } from "../../../../src/ext/fleet/link/leader_calls.js";
import { ledApprovals } from "../../../../src/ext/fleet/link/led_approvals.js";
import { LinkTls } from "../../../../src/ext/fleet/link/link_tls.js";
import { ErrorInfoSchema } from "../../../../src/gen/google/rpc/error_details_pb.js";
import {
  RefreshTokenRequestSchema,
  RefreshTokenResponseSchema,
  TokenService,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { FailedPrecondition, Unavailable } from "../../../../src/model/errors.js";
import { defaultLimits } from "../../../../src/model/limits.js";
import { formatListenAddress } from "../../../../src/model/listen_address.js";
import { Descriptors } from "../../../../src/server/kit.js";
import type { Listener } from "../../../../src/server/listen/listener.js";
import type { CallContext } from "../../../../src/service/pipeline/bound_service.js";
import { codes, type WireError } from "../../../../src/service/pipeline/wire_error.js";
import { Vault } from "../../../../src/vault/vault.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perTest } from "../../../lifetimes.js";
import { loopback } from "../../../server/temporary.js";
import { silentLog } from "../../../silent_log.js";

const method = "nexus.v1.TokenService/RefreshToken";
const agent: Principal = {
  name: "key:ci",
  kind: "key",
  origin: "10.0.0.9:4711",
  expiresAtMs: 4_000_000_000_000,
};
const request = toBinary(RefreshTokenRequestSchema, create(RefreshTokenRequestSchema, { connectionId: "c" }));
const newer = randomBytes(32);
const older = randomBytes(32);
const signal = new AbortController().signal;

/** A hub that may lead: a real fleet listener, whose one RPC the test plays. */
class Hub {
  leads = true;
  clockMs = 1_000;
  readonly callers: Principal[] = [];
  readonly steps: string[] = [];
  answer: () => Promise<void> = async () => undefined;
  held: (aborted: AbortSignal) => Promise<{ readonly approver: string }> = async () => ({
    approver: "key:boss",
  });
  readonly #listener: Listener;

  constructor(keys: readonly Uint8Array[], clock: ManualClock) {
    const service = fleetService({
      isLeader: () => this.leads,
      services: [
        {
          descriptor: TokenService,
          methods: [
            {
              kind: "unary",
              descriptor: TokenService.method.refreshToken,
              call: async (_, { principal, waitedFor }: CallContext) => {
                this.callers.push(principal);
                if (waitedFor) this.steps.push(`has waited for the ${waitedFor}`);
                await this.answer();
                return create(RefreshTokenResponseSchema, { token: { revision: 7n } });
              },
            },
          ],
        },
      ],
      refresh: async (connectionId, isDemanded, { onlyRevision }) => {
        this.steps.push(`${connectionId} ${isDemanded} ${onlyRevision}`);
        return "refreshed";
      },
      reach: async (origins) => ({
        mayLead: !this.leads,
        reached: origins.includes("https://op.example"),
        clockMs: this.clockMs,
        writeTrouble: "",
      }),
      page: async ({ method: verb, target, headers, body, origin, via }) => ({
        status: 303,
        headers: [...headers, { name: "x-origin", value: `${origin} via ${via}` }],
        body: `${verb} ${target} ${Buffer.from(body).toString()}`,
      }),
      takeBack: (useId) => void this.steps.push(`takes back ${useId}`),
      hold: async (_, principal, aborted) => {
        this.callers.push(principal);
        return await this.held(aborted);
      },
      appendAudit: async (_, entries) => entries.at(-1)?.sequence ?? 0n,
      position: () => 42n,
    });
    this.#listener = fleetListener({
      listen: loopback,
      service,
      keys: new Vault(keys),
      limits: defaultLimits,
      descriptors: new Descriptors(undefined),
      onUnexpected: (error) => void this.steps.push(String(error)),
      clock,
      log: silentLog,
    });
  }

  async open(): Promise<this> {
    await this.#listener.open();
    return this;
  }

  get address(): string {
    const [bound] = this.#listener.addresses;
    return bound ? formatListenAddress(bound) : "";
  }

  /** In good order; resolves when its last call has been answered. */
  async end(): Promise<void> {
    this.leads = false;
    await this.#listener.close(new AbortController().signal);
  }

  async close(): Promise<void> {
    await this.#listener.close(AbortSignal.abort());
  }
}

class World {
  readonly clock = new ManualClock(1_000_000);
  readonly forwarded: string[] = [];
  readonly applied: bigint[] = [];
  leader: string | undefined;
  #heard: () => void = () => undefined;
  readonly hubs: Hub[] = [];
  readonly calls = this.follower([older, newer]);

  follower(keys: readonly Uint8Array[]): LeaderCalls {
    return new LeaderCalls({
      via: "10.0.0.2:7443",
      keys: new Vault(keys),
      leader: () => this.leader,
      leaderChanged: () =>
        new Promise((resolve) => {
          this.#heard = resolve;
        }),
      applied: async (position) => void this.applied.push(position),
      catchUp: async () => undefined,
      recorded: async () => undefined,
      ignoresLimits: () => false,
      commitWait: () => undefined,
      clock: this.clock,
      onForwarded: (outcome) => void this.forwarded.push(outcome),
    });
  }

  async hub(keys: readonly Uint8Array[] = [newer]): Promise<Hub> {
    const hub = await new Hub(keys, this.clock).open();
    this.hubs.push(hub);
    return hub;
  }

  leads(address: string | undefined): void {
    this.leader = address;
    this.#heard();
  }

  async close(): Promise<void> {
    this.calls.close();
    await Promise.all(this.hubs.map((hub) => hub.close()));
  }
}

const world = perTest(() => new World());
const call = (calls = world.calls) => calls.call(method, request, agent, signal, "none");

/** Lets what is under way come to rest, over real sockets, while time moves. */
async function pass(clock: ManualClock, totalMs: number): Promise<void> {
  for (let past = 0; past < totalMs; past += 500) {
    for (let turn = 0; turn < 40; turn++) await new Promise(setImmediate);
    clock.advance(500);
  }
}

describe("a request that waits for an approval at a hub that is killed", () => {
  const held: HeldRequest = {
    principal: agent,
    connection: { connectionId: "c-1", userId: "ada", provider: { id: "p", name: "github" } },
    request: {
      method: "GET",
      host: "api.github.com",
      target: "/",
      session: undefined,
      headers: undefined,
      body: undefined,
    },
    rule: {
      ...{ providers: undefined, when: undefined, verdict: "ask", because: "", asks: new Set(), line: 3 },
      extent: [],
    },
    policyDigest: "feed",
    use: { rule: "line 3 of feed" },
    signal,
  } as HeldRequest;
  const forEver = () => new Promise<never>(() => undefined);
  const ask = () => ledApprovals(async () => new Unavailable("here"), world.calls, "10.0.0.2:7443")(held);

  it("waits at the next one", async () => {
    const [first, second] = [await world.hub(), await world.hub()];
    first.held = forEver;
    world.leads(first.address);
    const answer = ask();
    await expect.poll(() => first.callers.length).toBe(1);
    world.leads(second.address);
    await first.close();
    expect(await answer).toEqual({ approver: "key:boss" });
    expect(second.callers).toHaveLength(1);
  });

  it("is told that nothing was sent, where that one is killed too", async () => {
    const hubs = [await world.hub(), await world.hub()];
    const answer = expect.soft(ask()).rejects.toMatchObject({
      ...{ kind: "unavailable", retryAfterMs: 2_000 },
      message: expect.stringMatching(/nothing was sent, send the request again/),
    });
    for (const hub of hubs) {
      hub.held = forEver;
      world.leads(hub.address);
      world.clock.advance(500);
      await expect.poll(() => hub.callers.length).toBe(1);
      world.leads(undefined);
      await hub.close();
    }
    await answer;
  });
});

describe("a request that is forwarded", () => {
  it("is counted, but not a question of this hub itself", async () => {
    const hub = await world.hub();
    world.leads(hub.address);
    const ask = (onForwarded?: () => void) =>
      world.calls.hand(signal, (client, options) => client.reach({ origins: [] }, options), onForwarded);
    expect(await ask(() => undefined)).toMatchObject({ writeTrouble: "" });
    expect(world.forwarded).toEqual([]);
    await ask();
    expect(world.forwarded).toEqual(["ok"]);
  });

  it("says what its caller has waited for", async () => {
    const hub = await world.hub();
    world.leads(hub.address);
    for (const wait of ["none", "meant"] as const)
      await world.calls.call(method, request, agent, signal, wait);
    expect(hub.steps).toEqual([]);
    for (const wait of ["person", "exchange"] as const)
      await world.calls.call(method, request, agent, signal, wait);
    expect(hub.steps).toEqual(["has waited for the person", "has waited for the exchange"]);
  });

  it("is carried out for its caller, and answered when the replica has it", async () => {
    const hub = await world.hub();
    world.leads(hub.address);
    const answer = await call();
    if (answer === "here") throw new Error("not here");
    expect(fromBinary(RefreshTokenResponseSchema, answer).token?.revision).toBe(7n);
    // Through whom it came is on record: a spoke, as the listener of the hub proved it, and that hub.
    expect(hub.callers).toEqual([{ ...agent, via: ["10.0.0.2:7443"] }]);
    const onBehalfOf = { name: "key:ada", restrictions: [{ userIds: ["ada"] }] };
    await world.calls.call(method, request, { ...agent, via: ["jwt:spoke"], onBehalfOf }, signal, "none");
    expect(hub.callers.at(-1)).toMatchObject({ onBehalfOf, via: ["jwt:spoke", "10.0.0.2:7443"] });
    // What comes through the egress listener of the follower shows the leader its request.
    await world.calls.call(method, request, { ...agent, isProxied: true }, signal, "none");
    expect(hub.callers.map(({ isProxied }) => isProxied)).toEqual([undefined, undefined, true]);
    expect(world.applied).toEqual([42n, 42n, 42n]);
    expect(world.forwarded).toEqual(["ok", "ok", "ok"]);
  });

  it("ends with the error of the RPC, with its details", async () => {
    const hub = await world.hub();
    world.leads(hub.address);
    hub.answer = () => Promise.reject(new FailedPrecondition("NOT_REFRESHABLE", "no refresh token"));
    const error = (await call().catch((caught: unknown) => caught)) as WireError;
    expect(error).toMatchObject({ code: codes.failed_precondition, message: "no refresh token" });
    expect(error.details[0]?.descriptor).toBe(ErrorInfoSchema);
    expect(error.details[0]?.value).toMatchObject({ reason: "NOT_REFRESHABLE", domain: "nexus.v1" });
  });

  it("waits for a hub that leads, and asks the next where one does no more", async () => {
    const [first, second] = [await world.hub(), await world.hub()];
    first.leads = false;
    const answer = call();
    await pass(world.clock, 3_000);
    // The machine's clock counts in parts of milliseconds, which the deadline of a call does not have.
    world.clock.advance(0.3);
    world.leads(first.address);
    await pass(world.clock, 3_000);
    expect(second.callers).toEqual([]);
    world.leads(second.address);
    await pass(world.clock, 500);
    await expect(answer).resolves.toBeInstanceOf(Uint8Array);
    expect([first.callers.length, second.callers.length]).toEqual([0, 1]);
  });

  it("is not sent where this hub has come to lead", async () => {
    const answer = call();
    await pass(world.clock, 1_000);
    world.leads("here");
    await expect(answer).resolves.toBe("here");
  });

  it("is unavailable after fifteen seconds without a leader", async () => {
    world.leads("127.0.0.1:1");
    const refused = expect(call()).rejects.toThrow(/nothing was done/);
    await pass(world.clock, 16_000);
    await refused;
    expect(world.forwarded).toEqual(["unreachable"]);
  });

  it("is unavailable after fifteen seconds, also where the connection to the leader hangs, and sent on another one then", async () => {
    const hub = await world.hub();
    const link = await TcpProxy.tcp(Number(hub.address.split(":")[1]));
    onTestFinished(() => link.close());
    link.halfOpen();
    await pass(world.clock, 1_000);
    world.leads(`127.0.0.1:${link.port}`);
    const startedMs = world.clock.monotonicMs();
    let tookMs: number | undefined;
    const refused = expect(
      call().finally(() => {
        tookMs = world.clock.monotonicMs() - startedMs;
      }),
    ).rejects.toThrow(/nothing was done/);
    await pass(world.clock, 16_000);
    await refused;
    expect(tookMs).toBeLessThanOrEqual(15_500);
    expect(world.forwarded).toEqual(["unreachable"]);
    link.heal();
    await expect(call()).resolves.toBeInstanceOf(Uint8Array);
  });

  it("is never sent again once it was sent", async () => {
    const [first, second] = [await world.hub(), await world.hub()];
    world.leads(first.address);
    let arrived: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    first.answer = () => {
      arrived();
      return new Promise(() => undefined);
    };
    const refused = expect(call()).rejects.toMatchObject({
      code: codes.unavailable,
      message: expect.stringContaining("look whether the request was acted on"),
    });
    await isThere;
    world.leads(second.address);
    await first.close();
    await refused;
    expect([first.callers.length, second.callers.length]).toEqual([1, 0]);
    expect(world.forwarded).toEqual(["lost"]);
  });

  it.each([
    { name: "idle", isBusy: false },
    { name: "busy", isBusy: true },
  ])(
    "is made by the next hub where the one that leads ends in good order meanwhile, $name before",
    async ({ isBusy }) => {
      const [first, second] = [await world.hub(), await world.hub()];
      world.leads(first.address);
      await call();
      let answer: () => void = () => undefined;
      if (isBusy)
        first.answer = () =>
          new Promise((resolve) => {
            answer = resolve;
          });
      const before = isBusy ? call() : undefined;
      await expect.poll(() => first.callers.length, { interval: 1 }).toBe(isBusy ? 2 : 1);
      const meanwhile = call();
      const ended = first.end();
      await pass(world.clock, 1_000);
      world.leads(second.address);
      answer();
      await Promise.all([before, meanwhile, ended]);
      expect([first.callers.length, second.callers.length]).toEqual([isBusy ? 2 : 1, 1]);
      expect(world.forwarded).toEqual(isBusy ? ["ok", "ok", "ok"] : ["ok", "ok"]);
    },
  );

  it.each([
    { name: "is reset", end: (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR) },
    { name: "breaks", end: ({ session }: ServerHttp2Stream) => session?.destroy(new Error("x")) },
  ])("is lost where its stream $name, whatever code the library has for that", async ({ end }) => {
    const http2 = createServer();
    http2.on("stream", (stream) => {
      stream.on("error", () => undefined);
      end(stream);
    });
    http2.on("sessionError", () => undefined);
    const tls = new LinkTls({ keys: new Vault([newer]), log: silentLog });
    const server = tls.createServer([], (socket) => void http2.emit("connection", socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    world.leads(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(call()).rejects.toMatchObject({ code: codes.unavailable });
    expect(world.forwarded).toEqual(["lost"]);
  });

  it("ends when its caller leaves", async () => {
    const leaving = new AbortController();
    const refused = expect(
      world.calls.call(method, request, agent, leaving.signal, "meant"),
    ).rejects.toThrow();
    leaving.abort();
    await refused;
  });

  it("is unimplemented where the leader is of another version", async () => {
    world.leads((await world.hub()).address);
    const other = world.calls.call("nexus.v1.TokenService/Foresee", request, agent, signal, "none");
    await expect(other).rejects.toMatchObject({ code: codes.internal });
  });
});

describe("the link between hubs", () => {
  it("needs one key in common", async () => {
    const hub = await world.hub([older, randomBytes(32)]);
    world.leads(hub.address);
    await expect(call(world.follower([randomBytes(32), older]))).resolves.toBeInstanceOf(Uint8Array);
  });

  it.each(["a follower", "a leader"])("does not open to %s with other keys", async (who) => {
    const hub = await world.hub(who === "a leader" ? [randomBytes(32)] : [newer]);
    world.leads(hub.address);
    const refused = expect(call(world.follower([randomBytes(32)]))).rejects.toBeInstanceOf(Unavailable);
    await pass(world.clock, 16_000);
    await refused;
    expect(hub.callers).toEqual([]);
  });

  it("carries refreshes, pages, audit events and token sets", async () => {
    const hub = await world.hub();
    world.leads(hub.address);
    await expect(world.calls.refresh("c", { onlyRevision: 3n })).resolves.toBe("refreshed");
    expect(hub.steps).toEqual(["c true 3"]);
    const page = await world.calls.page({
      method: "POST",
      target: "/auth/capture?state=s",
      headers: [{ $typeName: "nexus.fleet.v1.HeaderField", name: "cookie", value: "a=b" }],
      body: Buffer.from("key=v"),
      isTooLarge: false,
      origin: "10.1.1.1",
      listener: "browser",
    });
    expect(page).toMatchObject({ status: 303, body: "POST /auth/capture?state=s key=v", position: 42n });
    expect(page).toMatchObject({ headers: [{ name: "cookie" }, { value: "10.1.1.1 via 10.0.0.2:7443" }] });
    const source = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00";
    const entries = [{ sequence: 5n, record: new Uint8Array([1]) }];
    const appended = world.calls.hand(signal, (client, options) =>
      client.appendAudit({ source, entries }, options),
    );
    await expect(appended).resolves.toMatchObject({ sequence: 5n });
  });

  it("asks any hub whether it could lead, and takes no answer from one with other keys", async () => {
    const [follower, leader, foreign] = [
      await world.hub(),
      await world.hub(),
      await world.hub([randomBytes(32)]),
    ];
    follower.leads = false;
    const gone = "127.0.0.1:1";
    const addresses = [leader.address, foreign.address, gone, follower.address];
    const answers = await askHubs(addresses, ["https://op.example"], new Vault([newer]));
    expect(answers.map(({ address, answer: { mayLead, reached } }) => [address, mayLead, reached])).toEqual([
      [leader.address, false, true],
      [follower.address, true, true],
    ]);
    leader.clockMs = 4_000_000_000_000;
    expect(await askTimes(addresses, new Vault([newer]))).toEqual([4_000_000_000_000, 1_000]);
    // What is no origin, or too many of them, is refused.
    expect(await askHubs([follower.address], ["no url"], new Vault([newer]))).toEqual([]);
    const many = Array.from({ length: 17 }, (_, index) => `https://op${index}.example`);
    expect(await askHubs([follower.address], many, new Vault([newer]))).toEqual([]);
  });
});
