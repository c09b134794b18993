import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { AskApprovers, HeldRequest } from "../../../../src/domain/access/request_rules.js";
import { fleetService } from "../../../../src/ext/fleet/calls/fleet_service.js";
import { heldFrom } from "../../../../src/ext/fleet/link/held_request.js";
import { ledApprovals } from "../../../../src/ext/fleet/link/led_approvals.js";
import {
  FleetService,
  HoldRequestSchema,
  type HoldResponse,
} from "../../../../src/gen/nexus/fleet/v1/fleet_pb.js";
import { PermissionDenied, Unavailable } from "../../../../src/model/errors.js";

const held: HeldRequest = {
  principal: { name: "key:claude", kind: "key", isProxied: true, expiresAtMs: 4_000_000_000_000 },
  connection: { connectionId: "c-1", userId: "ada", provider: { id: "p", name: "github" } },
  request: {
    ...{ method: "POST", host: "api.github.com", target: "/repos?x=1", session: "run-1" },
    headers: new Map([["accept", "*/*"]]),
    body: { size: 5, digest: "ab".repeat(32), bytes: new TextEncoder().encode("hello") },
  },
  rule: {
    ...{ providers: undefined, when: undefined, verdict: "ask", because: "look", asks: new Set(), line: 3 },
    extent: ["hour"],
    holdMs: 3_600_000,
  },
  policyDigest: "feed",
  use: { session: "run-1", rule: "line 3 of feed", traceId: "4bf92f3577b34da6a3ce929d0e0e4736" },
  signal: new AbortController().signal,
};

/** A follower, and the leader that it asks over a link which the test plays: messages cross it in protobuf. */
class World {
  isHere = false;
  isHereNow = false;
  /** Whether the leader does not know of rules with several approvers. */
  isOlder = false;
  readonly asked: HeldRequest[] = [];
  readonly options: object[] = [];
  answer: () => ReturnType<AskApprovers> = async () => ({ approver: "key:boss" });
  readonly #hold = fleetService({
    ...({} as Parameters<typeof fleetService>[0]),
    isLeader: () => true,
    services: [],
    hold: (request, principal, signal) => {
      this.asked.push({ ...heldFrom(request), principal, connection: held.connection, signal });
      return this.answer();
    },
  }).methods.find(({ descriptor }) => descriptor === FleetService.method.hold);
  readonly ask = ledApprovals(
    async () => new Unavailable("asked here"),
    {
      isHere: false,
      hand: async (signal, send) => {
        if (this.isHereNow) return "here";
        const hold = async (request: object, options: object): Promise<HoldResponse> => {
          this.options.push(options);
          const sent = toBinary(HoldRequestSchema, create(HoldRequestSchema, request));
          if (this.#hold?.kind !== "unary") throw new Error("no RPC");
          const context = { principal: { name: "hub", kind: "key" }, signal } as const;
          const response = await this.#hold.call(fromBinary(HoldRequestSchema, sent), context);
          return { ...(response as HoldResponse), ...(this.isOlder && { approvers: 0 }) };
        };
        const options = { signal, timeoutMs: 60_000 };
        return (await send({ hold } as never, options)) as never;
      },
    },
    "10.0.0.2:7443",
  );
}

describe("a request that a person is asked about at a follower", () => {
  it("waits at the leader as it is, with the rule of the follower", async () => {
    const world = new World();
    expect(await world.ask(held)).toEqual({ approver: "key:boss" });
    const principal = { ...held.principal, via: ["10.0.0.2:7443"] };
    expect(world.asked).toEqual([{ ...held, principal }]);
  });

  it("has as many approvers there as its rule says, and is not sent where that hub asks one alone", async () => {
    const world = new World();
    const rule = { ...held.rule, approvers: 2 };
    world.answer = async () => ({ approver: "key:boss, key:other" });
    expect(await world.ask({ ...held, rule })).toEqual({ approver: "key:boss, key:other" });
    expect(world.asked[0]?.rule).toEqual(rule);
    world.isOlder = true;
    const refusal = await world.ask({ ...held, rule });
    expect(refusal).toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("nothing was sent"),
    });
    expect(await world.ask(held)).toEqual({ approver: "key:boss, key:other" });
  });

  it("waits there for longer than other calls may take", async () => {
    const world = new World();
    await world.ask(held);
    expect(world.options).toEqual([{ signal: held.signal }]);
  });

  it.each([
    { name: "whose headers and body are not shown", change: { headers: undefined, body: undefined } },
    { name: "that shows nothing", change: { method: undefined, host: undefined, target: undefined } },
    { name: "over http", change: { isPlain: true as const } },
    { name: "of no session", change: { session: undefined } },
    { name: "with an empty body", change: { body: { size: 0, digest: "cd".repeat(32), bytes: undefined } } },
    {
      name: "whose empty body is shown",
      change: { body: { size: 0, digest: "cd".repeat(32), bytes: new Uint8Array() } },
    },
    {
      name: "with headers that servers read in several ways",
      change: { unclearHeaders: ["x-original-url"] },
    },
  ])("is the same there: one $name", async ({ change }) => {
    const world = new World();
    const request = { ...held.request, ...change };
    await world.ask({ ...held, request });
    expect(world.asked[0]?.request).toEqual(request);
  });

  it("is refused with the words of the leader", async () => {
    const world = new World();
    world.answer = async () => new PermissionDenied("a person refused");
    const refused = { kind: "permission_denied", message: "a person refused" };
    expect(await world.ask(held)).toMatchObject(refused);
    world.answer = () => Promise.reject(new PermissionDenied("not valid any more"));
    expect(await world.ask(held)).toMatchObject({ message: "not valid any more" });
    world.answer = async () => new Unavailable("the leader stops");
    await expect(world.ask(held)).rejects.toThrow("the leader stops");
  });

  it("waits here where this hub has come to lead", async () => {
    const world = new World();
    world.isHereNow = true;
    expect(await world.ask(held)).toMatchObject({ message: "asked here" });
    expect(world.asked).toEqual([]);
  });
});
