import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { LedRequest, TokenPurpose } from "../../../../src/domain/access/access.js";
import { fleetService } from "../../../../src/ext/fleet/calls/fleet_service.js";
import { heldForOthers, ledRules } from "../../../../src/ext/fleet/link/led_approvals.js";
import { FleetService } from "../../../../src/gen/nexus/fleet/v1/fleet_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { PermissionDenied, ResourceExhausted, Unauthenticated } from "../../../../src/model/errors.js";
import type { Use } from "../../../../src/model/tracing.js";
import { codes, WireError } from "../../../../src/service/service.js";

const asked: LedRequest = {
  principal: { name: "key:claude", kind: "key", isProxied: true },
  connectionId: "c-1",
  request: {
    ...{ method: "POST", host: "api.github.com", target: "/repos?x=1", session: "run-1" },
    headers: new Map([["accept", "*/*"]]),
    unclearHeaders: ["x-http-method-override"],
    body: { size: 5, digest: "ab".repeat(32), bytes: new TextEncoder().encode("hello") },
  },
  policyDigest: "feed",
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  mayWait: false,
  signal: new AbortController().signal,
};

/** A follower, and the leader that it asks over a link which the test plays: messages cross it in protobuf. */
class World {
  isHere = false;
  maySend = true;
  refusal: string | undefined;
  digest = "feed";
  isOlder = false;
  /** Calls that the link loses after the leader has acted on them. */
  losses = 0;
  readonly asked: unknown[] = [];
  readonly taken: (Use | undefined)[] = [];
  readonly options: object[] = [];
  ended: Error | undefined;
  answer: () => Promise<Use> = async () => ({ rule: "line 3 of feed", session: "run-1" });

  readonly #service = fleetService({
    ...({} as Parameters<typeof fleetService>[0]),
    isLeader: () => true,
    services: [],
    ...heldForOthers(
      async () => ({ approver: "key:asked-as-an-older-hub" }),
      {
        factsOf: (id: string) => (id === "c-1" ? { connectionId: id } : undefined),
        policy: { digest: "feed" },
        admit: () => {
          if (this.ended) throw this.ended;
        },
      } as never,
      {
        admit: (principal: Principal, connectionId: string, { request, trace }: TokenPurpose) => {
          this.asked.push({ principal, connectionId, request, trace });
          return this.answer();
        },
        isCounted: (use: Use | undefined): use is Use => use?.rule !== undefined,
        takeBack: (use: Use | undefined) => void this.taken.push(use),
      } as never,
    ),
  });
  readonly #call = async (name: "hold" | "takeBack", request: Record<string, unknown>): Promise<Message> => {
    const method = this.#service.methods.find(({ descriptor }) => descriptor === FleetService.method[name]);
    if (method?.kind !== "unary") throw new Error("no RPC");
    const { input, output }: { input: DescMessage; output: DescMessage } = method.descriptor;
    const context = {
      principal: { name: "hub", kind: "key" },
      signal: new AbortController().signal,
    } as const;
    const answer = await method.call(fromBinary(input, toBinary(input, create(input, request))), context);
    if (this.losses-- > 0) throw new WireError(codes.unavailable, "went away", []);
    const crossed = fromBinary(output, toBinary(output, answer));
    return this.isOlder ? Object.assign(crossed, { decided: false }) : crossed;
  };
  readonly rules = ledRules(
    {
      isHere: false,
      hand: async (signal, send) => {
        if (this.isHere) return "here";
        const hold = (request: Record<string, unknown>, options: object) => {
          this.options.push(options);
          return this.#call("hold", request);
        };
        const takeBack = (request: Record<string, unknown>) => this.#call("takeBack", request);
        return (await send({ hold, takeBack } as never, { signal, timeoutMs: 60_000 })) as never;
      },
    },
    { via: "10.0.0.2:7443", maySend: () => this.maySend, refusal: () => this.refusal },
  );
}

describe("a request over which the leader decides", () => {
  it("is there what it is here, and its use is taken back once", async () => {
    const world = new World();
    const led = await world.rules.admit(asked);
    if (led === "here") throw new Error("not here");
    expect(led.use).toEqual({ rule: "line 3 of feed" });
    const principal = { ...asked.principal, via: ["10.0.0.2:7443"] };
    const { connectionId, request, traceId } = asked;
    const trace = { traceparent: `00-${traceId}-` };
    expect(world.asked).toEqual([{ principal, connectionId, request, trace }]);
    expect(world.options).toEqual([{ signal: asked.signal, timeoutMs: 60_000 }]);
    led.takeBack();
    led.takeBack();
    await expect.poll(() => world.taken).toEqual([{ rule: "line 3 of feed", session: "run-1" }, undefined]);
  });

  it.each([
    { name: "nothing", change: { request: undefined } },
    {
      name: "no headers and no body",
      change: {
        request: {
          method: "GET",
          host: undefined,
          target: "/x",
          session: undefined,
          headers: undefined,
          body: undefined,
        },
      },
    },
  ])("may show $name", async ({ change }) => {
    const world = new World();
    await world.rules.admit({ ...asked, ...change } as LedRequest);
    expect(world.asked).toMatchObject([{ request: change.request }]);
  });

  it("waits for as long as the leader holds it, where a person may be asked", async () => {
    const world = new World();
    await world.rules.admit({ ...asked, mayWait: true });
    expect(world.options).toEqual([{ signal: asked.signal }]);
  });

  it("is refused with the error of the leader, and with what is on record of it", async () => {
    const world = new World();
    const about = { what: "the key claude", limit: 20, unit: "uses", retryAfterMs: 5_000 };
    const spent = new ResourceExhausted("USES_EXHAUSTED", about, "the limit is reached");
    spent.use = { rule: "line 4 of feed" };
    world.answer = () => Promise.reject(spent);
    const found = await world.rules.admit(asked).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(ResourceExhausted);
    expect(found).toMatchObject({
      ...{ message: "the limit is reached", reason: "USES_EXHAUSTED", use: { rule: "line 4 of feed" } },
      reached: { what: "the key claude", limit: 20, retryAfterMs: 5_000 },
    });
    world.answer = () => Promise.reject(new PermissionDenied("it read private data"));
    await expect(world.rules.admit(asked)).rejects.toBeInstanceOf(PermissionDenied);
    world.ended = new Unauthenticated("the key is not valid any more");
    await expect(world.rules.admit(asked)).rejects.toBeInstanceOf(Unauthenticated);
  });

  it.each([
    ["the hubs have other policy files", { digest: "beef" }, /different policy files/],
    ["the leader is of an older version", { isOlder: true }, /older version: nothing was sent/],
    ["older hubs may be there", { refusal: "hubs of an older version may be there" }, /may be there/],
    ["two leaders went away", { losses: 2 }, /went away: nothing was sent/],
  ])("is not let go where %s", async (_, change, words) => {
    const world = Object.assign(new World(), change);
    await expect(world.rules.admit({ ...asked, policyDigest: world.digest })).rejects.toThrow(words);
  });

  it("is decided by the next leader, where the first one went away", async () => {
    const world = Object.assign(new World(), { losses: 1 });
    await world.rules.admit(asked);
    expect(world.asked).toHaveLength(2);
  });
});
