import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { readTokenStream, type TokenStreamOptions } from "../../../src/cli/connections/token_stream.js";
import {
  type WatchTokensRequestSchema,
  WatchTokensResponseSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import { ManualClock } from "../../fakes/manual_clock.js";

type Request = MessageInitShape<typeof WatchTokensRequestSchema>;
type Script = (signal: AbortSignal) => AsyncIterable<MessageInitShape<typeof WatchTokensResponseSchema>>;

const bookmark = (revision: bigint) => ({
  event: { case: "bookmark" as const, value: { position: { epoch: "e", revision } } },
});
const removed = (connectionId: string) => ({ event: { case: "removed" as const, value: { connectionId } } });
const end = removed("end");
const name = { providerName: "github", userId: "alice", label: "" };

/** Plays one script for each stream, and lets time pass while the reader waits. */
function play(scripts: Script[]) {
  const clock = new ManualClock(0);
  const requests: Request[] = [];
  const waits: { waitMs: number; code: Code | undefined }[] = [];
  const tokens: TokenStreamOptions["tokens"] = {
    watchTokens: async function* (request: Request, options?: CallOptions) {
      requests.push(request);
      const script = scripts.shift();
      if (!script || !options?.signal) throw new Error("no script");
      for await (const message of script(options.signal)) yield create(WatchTokensResponseSchema, message);
    },
  };
  const stream = readTokenStream({
    tokens,
    clock,
    random: () => 0.5,
    connectionIds: ["c"],
    names: [name],
    userId: "alice",
    bookmarkIntervalMs: 30_000,
    onInterrupted: (waitMs, cause) => {
      waits.push({ waitMs, code: cause?.code });
      queueMicrotask(() => clock.advance(waitMs));
    },
  });
  /** Reads up to the message that ends the play. */
  const read = async (): Promise<string[]> => {
    const cases: string[] = [];
    for await (const { event } of stream) {
      if (event.case === "removed" && event.value.connectionId === "end") break;
      cases.push(event.case ?? "");
    }
    return cases;
  };
  return { read, requests, waits, clock };
}

function fails(code: Code, cause?: Error): Script {
  return async function* () {
    yield* [];
    throw new ConnectError("x", code, undefined, undefined, cause);
  };
}

const ends: Script = async function* () {
  yield end;
};

describe("readTokenStream", () => {
  it("resumes from the last bookmark", async () => {
    const { read, requests } = play([
      async function* () {
        yield removed("a");
        yield bookmark(1n);
        yield bookmark(2n);
        throw new ConnectError("lost", Code.Aborted);
      },
      ends,
    ]);
    expect(await read()).toEqual(["removed", "bookmark", "bookmark"]);
    expect(requests[0]).toEqual({
      connectionIds: ["c"],
      names: [name],
      userId: "alice",
      bookmarkInterval: durationFromMs(30_000),
    });
    expect(requests[1]?.position).toMatchObject({ epoch: "e", revision: 2n });
  });

  it("forgets its position at a reset", async () => {
    const { read, requests } = play([
      async function* () {
        yield bookmark(1n);
        yield { event: { case: "reset" as const, value: { reason: "epoch_changed" } } };
      },
      ends,
    ]);
    await read();
    expect(requests[1]?.position).toBeUndefined();
  });

  it("waits after a drain as long as it is told", async () => {
    const { read, waits } = play([
      async function* () {
        yield {
          event: { case: "drain" as const, value: { reconnectDelay: { seconds: 2n, nanos: 500_000_000 } } },
        };
      },
      ends,
    ]);
    await read();
    expect(waits).toEqual([{ waitMs: 2500, code: undefined }]);
  });

  it("waits longer each time, and anew after a message", async () => {
    const { read, waits } = play([
      fails(Code.Unavailable),
      fails(Code.Unavailable),
      fails(Code.Internal),
      async function* () {
        yield bookmark(1n);
      },
      ...Array.from({ length: 9 }, () => fails(Code.Unavailable)),
      ends,
    ]);
    await read();
    const half = [50, 100, 200, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
    expect(waits.map(({ waitMs }) => waitMs)).toEqual(half);
  });

  it.each([Code.InvalidArgument, Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented])(
    "does not try again after code %i",
    async (code) => {
      const { read } = play([fails(code)]);
      await expect(read()).rejects.toMatchObject({ code });
    },
  );

  it("gives up when no daemon is there at first, not later", async () => {
    const gone = (): Script =>
      fails(Code.Unavailable, Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    await expect(play([gone()]).read()).rejects.toMatchObject({ code: Code.Unavailable });
    const later = play([
      async function* () {
        yield bookmark(1n);
      },
      gone(),
      ends,
    ]);
    expect(await later.read()).toEqual(["bookmark"]);
  });

  it("takes a stream for dead that is silent for three intervals", async () => {
    const { read, clock, waits } = play([
      async function* (signal) {
        yield bookmark(1n);
        queueMicrotask(() => {
          clock.advance(89_999);
          if (signal.aborted) throw new Error("too early");
          clock.advance(1);
        });
        await new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new ConnectError("canceled", Code.Canceled)));
        });
      },
      ends,
    ]);
    expect(await read()).toEqual(["bookmark"]);
    expect(waits).toEqual([{ waitMs: 50, code: Code.Canceled }]);
  });

  it("hangs up when it is no longer read", async () => {
    let signal: AbortSignal | undefined;
    const { read, clock } = play([
      async function* (given) {
        signal = given;
        yield end;
      },
    ]);
    await read();
    expect(signal?.aborted).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
