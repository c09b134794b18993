import { describe, expect, it } from "vitest";
import { drawn, pump, type StreamSink } from "../../src/runtime/stream_sink.js";

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** Keeps what it gets, and says after each message that it is full. */
class Full implements StreamSink<number> {
  readonly got: number[] = [];
  readonly ends: unknown[] = [];

  send(message: number): boolean {
    this.got.push(message);
    return false;
  }

  end(error?: unknown): void {
    this.ends.push(error);
  }
}

describe("pump", () => {
  it("asks for the next only when there is room, and ends once", async () => {
    const sink = new Full();
    const source = pump(async function* () {
      yield* [1, 2];
    }, sink);
    await settled();
    expect(sink.got).toEqual([1]);
    for (let time = 0; time < 3; time++) {
      source.resume();
      await settled();
    }
    expect([sink.got, sink.ends]).toEqual([[1, 2], [undefined]]);
  });

  it("ends with what its source throws", async () => {
    const sink = new Full();
    const source = pump(async function* () {
      yield 1;
      throw new Error("spoilt");
    }, sink);
    await settled();
    source.resume();
    await settled();
    expect(sink.ends).toMatchObject([{ message: "spoilt" }]);
  });

  it.each(["waits for room", "waits for its next message"])(
    "lets a source go that %s when its reader leaves, and tells the sink nothing",
    async (state) => {
      const sink = new Full();
      let returned = false;
      const source = pump(async function* (signal) {
        try {
          if (state === "waits for room") yield 1;
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          yield 2;
        } finally {
          returned = true;
        }
      }, sink);
      await settled();
      source.cancel();
      source.cancel();
      await settled();
      expect(returned).toBe(true);
      expect(sink.got).toEqual(state === "waits for room" ? [1] : []);
      expect(sink.ends).toEqual([]);
    },
  );
});

describe("drawn", () => {
  const never = new AbortController().signal;

  it("resumes its source when it has nothing left, and cancels it at the end", async () => {
    const calls: string[] = [];
    let given: StreamSink<number> | undefined;
    const stream = drawn<number>((sink) => {
      given = sink;
      expect(sink.send(1)).toBe(false);
      return { resume: () => calls.push("resume"), cancel: () => calls.push("cancel") };
    }, never);
    expect(await stream.next()).toEqual({ value: 1, done: false });
    expect(calls).toEqual([]);
    const next = stream.next();
    expect(calls).toEqual(["resume"]);
    given?.send(2);
    given?.end();
    expect(await next).toEqual({ value: 2, done: false });
    expect((await stream.next()).done).toBe(true);
    expect(calls).toEqual(["resume", "cancel"]);
  });

  it("gives nothing of what waits to a reader whose stream failed", async () => {
    const stream = drawn<number>((sink) => {
      sink.send(1);
      sink.send(2);
      sink.end(new Error("revoked"));
      sink.send(3);
      return { resume: () => undefined, cancel: () => undefined };
    }, never);
    await expect(stream.next()).rejects.toThrow("revoked");
  });

  it("throws the reason of its signal at once, though its source is silent", async () => {
    const left = new AbortController();
    let cancelled = 0;
    const stream = drawn<number>(
      () => ({ resume: () => undefined, cancel: () => void cancelled++ }),
      left.signal,
    );
    const next = stream.next();
    left.abort(new Error("left"));
    expect(cancelled).toBe(1);
    await expect(next).rejects.toThrow("left");
  });
});
