import { PassThrough } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { HubLink, HubLinks } from "../../../../src/ext/spoke/upstream/hub_link.js";
import { troubleOf } from "../../../../src/ext/spoke/upstream/trouble.js";
import {
  type CopyTarget,
  UpstreamFollower,
  type WatchPlace,
} from "../../../../src/ext/spoke/upstream/upstream_follower.js";
import {
  type ListProvidersResponse,
  ListProvidersResponseSchema,
} from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import { newId } from "../../../../src/model/ids.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";

const unavailable = new ConnectError("no route", Code.Unavailable);

/** A hub, and a copy, that the test plays. */
class World {
  readonly steps: string[] = [];
  readonly clock = new ManualClock(0);
  position: WatchPlace | undefined;
  random = 0;
  list: (signal: AbortSignal) => Promise<ListProvidersResponse> = async () =>
    create(ListProvidersResponseSchema);
  readonly streams: PassThrough[] = [];

  readonly #link = {
    transport: {
      unary: async (_: unknown, signal: AbortSignal) => ({ message: await this.list(signal) }),
      stream: async (_: unknown, signal: AbortSignal) => {
        const stream = new PassThrough({ objectMode: true });
        this.streams.push(stream);
        this.steps.push("stream");
        signal.addEventListener("abort", () => stream.destroy(unavailable));
        return { message: stream, trailer: new Headers() };
      },
    },
  };

  readonly #target: CopyTarget = {
    position: () => this.position,
    beginSnapshot: () => void this.steps.push("snapshot"),
    abandonSnapshot: () => void this.steps.push("no snapshot"),
    put: async () => undefined,
    remove: async () => undefined,
    settle: async (position) => {
      this.position = position;
      this.steps.push("settled");
    },
    knowsProvider: () => true,
    putProviders: async () => undefined,
  };

  readonly follower = new UpstreamFollower({
    links: {
      ...{ url: "https://hub", count: 1, renew: () => undefined, next: () => undefined, headers: () => ({}) },
      current: () => this.#link as unknown as HubLink,
    } as unknown as HubLinks,
    ...{ target: this.#target, clock: this.clock, log: silentLog, random: () => this.random },
  });

  /** The stream that is opened as the nth. */
  async stream(number: number): Promise<PassThrough> {
    await expect
      .poll(() => this.#passed() && this.streams.length, { interval: 1, timeout: 10_000 })
      .toBe(number);
    return this.streams[number - 1] as PassThrough;
  }

  #passed(): true {
    this.clock.advance(10);
    return true;
  }
}

function told(event: MessageInitShape<typeof WatchTokensResponseSchema>["event"]): WatchTokensResponse {
  return create(WatchTokensResponseSchema, { event } as never);
}

describe("a spoke that follows", () => {
  it("begins anew when it is told to while a hub does not answer", async () => {
    const world = new World();
    const { list } = world;
    let isAsked = false;
    world.list = (signal) =>
      new Promise((_, reject) => {
        isAsked = true;
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    world.follower.start();
    await expect.poll(() => isAsked).toBe(true);
    world.list = list;
    world.follower.restart();
    await world.stream(1);
    expect(world.follower.trouble).toBeUndefined();
    await world.follower.stop();
  });

  it("has heard a hub when that told everything, and not before", async () => {
    const world = new World();
    world.follower.start();
    const first = await world.stream(1);
    first.write(told({ case: "state", value: { connectionId: newId() } }));
    first.destroy(unavailable);
    const second = await world.stream(2);
    expect(world.steps).toEqual(["snapshot", "stream", "snapshot", "stream"]);
    second.write(told({ case: "bookmark", value: { position: { epoch: "e", revision: 7n } } }));
    await expect.poll(() => world.position).toMatchObject({ revision: 7n });
    await world.follower.stop();
  });

  it("asks less and less often when streams end before they told all", async () => {
    const world = new World();
    world.random = 1;
    world.follower.start();
    const waits: number[] = [];
    for (let number = 1; number <= 4; number++) {
      const openedMs = world.clock.nowMs();
      const stream = await world.stream(number);
      waits.push(world.clock.nowMs() - openedMs);
      stream.end();
    }
    expect(waits[2]).toBeGreaterThan(150);
    expect(waits[3]).toBeGreaterThan(350);
    await world.follower.stop();
  });

  it("takes no part of a snapshot for the whole", async () => {
    const world = new World();
    world.position = { epoch: "e", revision: 7n } as WatchPlace;
    world.follower.start();
    const first = await world.stream(1);
    first.write(told({ case: "reset", value: { reason: "" } }));
    await expect.poll(() => world.steps).toContain("snapshot");
    first.destroy(unavailable);
    await world.stream(2);
    expect(world.steps).toEqual(["no snapshot", "stream", "snapshot", "no snapshot", "stream"]);
    await world.follower.stop();
  });
});

describe("the trouble of a spoke", () => {
  const answered = { "grpc-status": "7" };

  it.each([
    ["what fails here", new Error("disk full"), { isFault: true, isRefusal: false }],
    ["an answer", new ConnectError("no", Code.PermissionDenied, answered), { isRefusal: true }],
    ["a certificate", new ConnectError("self-signed certificate"), { isRefusal: true }],
    [
      "a hub that speaks of one",
      new ConnectError("certificate", Code.Internal, answered),
      { isRefusal: false },
    ],
    ["a way", unavailable, { isRefusal: false, text: "no hub answers (no route)" }],
  ])("is that of %s", (_, error, told) => {
    expect(troubleOf(error)).toMatchObject(told);
  });
});
