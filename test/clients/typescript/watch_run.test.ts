import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ConnectionStatus } from "../../../clients/typescript/src/gen/nexus/v1/connection_pb.js";
import {
  type WatchTokensRequest,
  WatchTokensResponseSchema,
} from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { TokenCache } from "../../../clients/typescript/src/token_cache.js";
import { tokenName } from "../../../clients/typescript/src/token_name.js";
import { TokenWatch } from "../../../clients/typescript/src/token_watch.js";
import { ManualClock } from "../../fakes/manual_clock.js";

type Event = NonNullable<MessageInitShape<typeof WatchTokensResponseSchema>["event"]>;

/** A call of WatchTokens that the test answers. */
class Call {
  readonly #queue: (Event | ConnectError | undefined)[] = [];
  #wake = (): void => undefined;

  constructor(
    readonly request: WatchTokensRequest,
    readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.#push(new ConnectError("aborted", Code.Canceled)));
  }

  send(...events: Event[]): void {
    for (const event of events) this.#push(event);
  }

  end(error?: ConnectError): void {
    this.#push(error);
  }

  get names(): string[] {
    return this.request.names.map(({ providerName, userId }) => `${providerName}/${userId}`);
  }

  async *messages() {
    for (;;) {
      while (this.#queue.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (next instanceof ConnectError) throw next;
      yield create(WatchTokensResponseSchema, { event: next });
    }
  }

  #push(item: Event | ConnectError | undefined): void {
    this.#queue.push(item);
    this.#wake();
  }
}

const name = tokenName("github", "ada");
const bookmark = (revision: bigint): Event => ({
  case: "bookmark",
  value: { position: { epoch: "e", revision } },
});
const state = (revision: bigint): Event => ({
  case: "state",
  value: {
    ...{ connectionId: "c", providerName: "github", userId: "ada", status: ConnectionStatus.ACTIVE },
    ...{ revision, token: { revision } },
  },
});

let clock: ManualClock;
let calls: Call[];
let cache: TokenCache;
let watch: TokenWatch;
beforeEach(() => {
  clock = new ManualClock(1_700_000_000_000);
  calls = [];
  cache = new TokenCache(clock, () => watch.isLive);
  watch = new TokenWatch({
    clock,
    cache,
    watchTokens: (request, signal) => {
      const call = new Call(request, signal);
      calls.push(call);
      return call.messages();
    },
  });
});

/** The default is a second, which a busy machine may pause for. */
const within10s = { timeout: 10_000 };

/** The `n`th call, once it was made; time moves on until then. */
async function callOf(n: number, stepMs = 100): Promise<Call> {
  return await vi.waitFor(() => {
    clock.advance(stepMs);
    const call = calls[n - 1];
    if (!call) throw new Error(`there were ${calls.length} calls`);
    return call;
  }, within10s);
}
const settles = (pass: () => void) => vi.waitFor(pass, within10s);
const revision = () => cache.find(name.key, { scopes: [], minTtlMs: 0 })?.revision;

describe("the stream of a client", () => {
  it("carries the names of a moment together, and covers them with the end of the snapshot", async () => {
    watch.add(name);
    watch.add(tokenName("slack", "bob"));
    const call = await callOf(1);
    expect(call.names).toEqual(["github/ada", "slack/bob"]);
    expect(call.request.position).toBeUndefined();
    expect(call.request.bookmarkInterval?.seconds).toBe(10n);
    call.send(state(1n));
    await settles(() => expect(revision()).toBe(1));
    expect(watch.isLive).toBe(false);
    call.send(bookmark(4n));
    await settles(() => expect(watch.isLive).toBe(true));
  });

  it("goes on while the stream with a new name has no message, and ends then", async () => {
    watch.add(name);
    const first = await callOf(1);
    first.send(state(1n), bookmark(1n));
    await settles(() => expect(watch.isLive).toBe(true));
    watch.add(tokenName("slack", "bob"));
    const second = await callOf(2);
    expect(second.names).toEqual(["github/ada", "slack/bob"]);
    expect(second.request.position).toBeUndefined();
    first.send(state(2n));
    await settles(() => expect(revision()).toBe(2));
    expect(first.signal.aborted).toBe(false);
    second.send(state(2n), bookmark(2n));
    await settles(() => expect(first.signal.aborted).toBe(true));
    await settles(() => expect(watch.isLive).toBe(true));
  });

  it("is dead when it carried nothing for three bookmark intervals", async () => {
    watch.add(name);
    const first = await callOf(1);
    first.send(state(1n), bookmark(7n));
    await settles(() => expect(watch.isLive).toBe(true));
    clock.advance(29_000);
    first.send(bookmark(8n));
    // The message is taken before time moves on.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(29_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(first.signal.aborted).toBe(false);
    const second = await callOf(2, 1_000);
    expect(first.signal.aborted).toBe(true);
    expect(watch.isLive).toBe(false);
    expect(second.request.position?.revision).toBe(8n);
    second.send(bookmark(9n));
    await settles(() => expect(watch.isLive).toBe(true));
    expect(revision()).toBe(1);
  });

  it("begins a snapshot anew after a reset, and forgets what that does not name", async () => {
    watch.add(name);
    const call = await callOf(1);
    call.send(state(1n), bookmark(1n));
    await settles(() => expect(revision()).toBe(1));
    call.send({ case: "reset", value: { reason: "epoch_changed" } });
    await settles(() => expect(watch.isLive).toBe(false));
    expect(revision()).toBe(1);
    call.send(bookmark(1n));
    await settles(() => expect(revision()).toBeUndefined());
  });

  it("ignores an event that it does not know", async () => {
    watch.add(name);
    const call = await callOf(1);
    call.send({ case: undefined } as Event, state(1n));
    await settles(() => expect(revision()).toBe(1));
  });

  it.each([Code.InvalidArgument, Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented])(
    "is given up after code %d with all that it had, and is opened again by a call that succeeds, a minute later at the earliest",
    async (code) => {
      watch.add(name);
      const first = await callOf(1);
      first.send(state(1n));
      await settles(() => expect(revision()).toBe(1));
      first.end(new ConnectError("no", code));
      await settles(() => expect(revision()).toBeUndefined());
      watch.add(name);
      for (let n = 0; n < 5; n++) {
        clock.advance(10_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(calls).toHaveLength(1);
      clock.advance(10_000);
      (await callOf(2)).end(new ConnectError("no", code));
      for (let n = 0; n < 20; n++) {
        clock.advance(10_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(calls).toHaveLength(2);
    },
  );

  it("carries 1000 names and no more", async () => {
    for (let n = 0; n < 1001; n++) watch.add(tokenName("p", `user-${n}`));
    expect((await callOf(1)).names).toHaveLength(1000);
  });

  it("ends with the client", async () => {
    watch.add(name);
    const call = await callOf(1);
    call.send(bookmark(1n));
    watch.close();
    await settles(() => expect(call.signal.aborted).toBe(true));
    watch.add(tokenName("slack", "bob"));
    clock.advance(60_000);
    expect(calls).toHaveLength(1);
  });
});
