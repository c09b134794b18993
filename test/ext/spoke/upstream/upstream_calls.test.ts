import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { HubLink } from "../../../../src/ext/spoke/upstream/hub_link.js";
import { UpstreamCalls, type UpstreamOutcome } from "../../../../src/ext/spoke/upstream/upstream_calls.js";
import { TokenService } from "../../../../src/gen/nexus/v1/token_pb.js";
import { Unavailable } from "../../../../src/model/errors.js";
import { onBehalfField } from "../../../../src/service/forwarding/on_behalf.js";
import { codes } from "../../../../src/service/pipeline/wire_error.js";
import { ManualClock } from "../../../fakes/manual_clock.js";

const { refreshToken } = TokenService.method;
const answer = create(refreshToken.output);
const caller = { name: "key:ci", restrictions: [{ userIds: ["ada"] }] };

/** Three hubs that the test plays. */
class World {
  readonly clock = new ManualClock(0);
  readonly outcomes: UpstreamOutcome[] = [];
  /** How long hubs were waited for. */
  readonly waits: number[] = [];
  readonly asked: string[] = [];
  readonly headers: Record<string, string>[] = [];
  answer: (url: string) => Message = () => answer;
  ready = new Set<string>();
  /** Of those who wait: ends it. */
  #waiting: (() => void)[] = [];

  readonly #links = ["a", "b", "c"].map((url) => ({
    url,
    isReady: async (waitMs: number) => {
      if (waitMs > 0) {
        this.waits.push(waitMs);
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
      return this.ready.has(url);
    },
    transport: {
      unary: async (_: unknown, signal: AbortSignal, __: number, headers: Record<string, string>) => {
        signal.throwIfAborted();
        this.asked.push(url);
        this.headers.push(headers);
        return { message: this.answer(url) };
      },
    },
  }));

  readonly #calls = new UpstreamCalls({
    links: {
      inTurn: () => this.#links.values() as unknown as Generator<HubLink>,
      headers: () => ({ authorization: "Bearer nx_spoke" }),
    },
    clock: this.clock,
    onForwarded: (outcome) => this.outcomes.push(outcome),
  });

  call(signal = new AbortController().signal): Promise<Message> {
    return this.#calls.call(refreshToken, create(refreshToken.input), caller, signal);
  }

  async waiting(count: number): Promise<void> {
    await expect.poll(() => this.#waiting.length, { interval: 1 }).toBe(count);
  }

  /** The time for a connection is over. */
  over(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

describe("what a spoke has hubs do", () => {
  it("goes to the first that is connected, without waiting", async () => {
    const world = new World();
    world.ready = new Set(["b", "c"]);
    expect(await world.call()).toBe(answer);
    expect([world.asked, world.waits, world.outcomes]).toEqual([["b"], [], ["ok"]]);
    const authorization = "Bearer nx_spoke";
    expect(world.headers).toEqual([{ authorization, "x-nexus-caller": onBehalfField(caller) }]);
  });

  it.each([
    ["is the hub's to refuse", Code.FailedPrecondition, codes.failed_precondition, "ok"],
    ["does not blame its caller for the spoke's identity", Code.Unauthenticated, codes.unavailable, "ok"],
    ["may be lost with the connection", undefined, codes.unavailable, "lost"],
  ] as const)("%s", async (_, code, told, outcome) => {
    const world = new World();
    world.ready = new Set(["a"]);
    world.answer = () => {
      if (code === undefined) throw new ConnectError("socket hang up", Code.Aborted);
      throw new ConnectError("no", code, { "grpc-status": String(code) });
    };
    await expect(world.call()).rejects.toMatchObject({ code: told });
    expect(world.outcomes).toEqual([outcome]);
  });

  it("is made again by a hub that is there when one that ends refused it, and not for ever", async () => {
    const world = new World();
    world.ready = new Set(["a", "b"]);
    const refusal = new ConnectError(
      "no",
      Code.Internal,
      undefined,
      undefined,
      new Error("NGHTTP2_REFUSED_STREAM"),
    );
    world.answer = (url) => {
      if (url !== "a") return answer;
      world.ready.delete(url);
      throw refusal;
    };
    expect(await world.call()).toBe(answer);
    expect([world.asked, world.outcomes]).toEqual([["a", "b"], ["ok"]]);
    world.answer = () => {
      throw refusal;
    };
    await expect(world.call()).rejects.toMatchObject({ code: codes.unavailable });
    expect([world.asked.length, world.outcomes]).toEqual([5, ["ok", "lost"]]);
  });

  it("waits once for all hubs, and for a while no more", async () => {
    const world = new World();
    const calls = [world.call(), world.call()].map((call) => call.catch((error: unknown) => error));
    await world.waiting(3);
    expect(world.waits).toEqual([2_000, 2_000, 2_000]);
    world.over();
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(Unavailable);
    await expect(world.call()).rejects.toBeInstanceOf(Unavailable);
    expect(world.waits).toHaveLength(3);
    world.ready = new Set(["c"]);
    expect(await world.call()).toBe(answer);
    world.ready.clear();
    world.clock.advance(2_001);
    const late = world.call();
    await world.waiting(3);
    world.ready = new Set(["b"]);
    world.over();
    expect(await late).toBe(answer);
    expect(world.asked).toEqual(["c", "b"]);
  });

  it("is given up with its caller", async () => {
    const world = new World();
    const caller = new AbortController();
    const call = world.call(caller.signal);
    const other = world.call();
    await world.waiting(3);
    const reason = new DOMException("gone", "AbortError");
    caller.abort(reason);
    await expect(call).rejects.toBe(reason);
    world.ready = new Set(["a"]);
    world.over();
    expect(await other).toBe(answer);
    world.ready = new Set(["a"]);
    await expect(world.call(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(world.asked).toEqual(["a"]);
  });
});
