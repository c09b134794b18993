import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DueTimes, type DueWork, DueWorker } from "../../src/runtime/due_worker.js";
import { ManualClock } from "../fakes/manual_clock.js";

describe("DueWorker", () => {
  let clock: ManualClock;
  let queue: DueWork[];
  let begun: string[];
  let failed: string[];
  let end: Map<string, (error?: Error) => void>;
  let worker: DueWorker<DueWork>;

  beforeEach(() => {
    clock = new ManualClock(1_000_000);
    [queue, begun, failed, end] = [[], [], [], new Map()];
    worker = new DueWorker({
      ...{ clock, atMost: 4, atMostIn: (lane) => (lane === "slow" ? 1 : 3), stopMs: 2_000 },
      next: () => queue,
      run: ({ key }, signal) =>
        new Promise<void>((resolve, reject) => {
          begun.push(key);
          signal.addEventListener("abort", () => resolve());
          end.set(key, (error) => {
            if (error) return reject(error);
            queue = queue.filter((work) => work.key !== key);
            resolve();
          });
        }),
      onError: (_, { key }) => failed.push(key),
    });
  });
  afterEach(async () => {
    const stopped = worker.stop();
    clock.advance(2_000);
    await stopped;
  });

  const put = (lane: string, keys: string, dueAtMs = 0) => {
    for (const key of keys.split(" ")) queue.push({ key, lane, dueAtMs });
  };
  /** What was begun runs in the next turn. */
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  it("begins nothing before its start, and then what is due, the lane with the fewest first", async () => {
    put("a", "a1 a2 a3 a4");
    put("b", "b1 b2");
    worker.wake();
    await turn();
    expect(begun).toEqual([]);
    worker.start();
    await turn();
    expect(begun).toEqual(["a1", "b1", "a2", "b2"]);
  });

  it("gives room that becomes free to the next, and no lane more than its own", async () => {
    put("slow", "s1 s2");
    put("a", "a1 a2 a3 a4");
    worker.start();
    await turn();
    expect(begun).toEqual(["s1", "a1", "a2", "a3"]);
    end.get("a1")?.();
    await turn();
    expect(begun.slice(4)).toEqual(["a4"]);
    end.get("s1")?.();
    await turn();
    expect(begun.slice(5)).toEqual(["s2"]);
  });

  it("waits for what is due later, half a minute at most, since the clock can be set", async () => {
    put("a", "soon", clock.nowMs() + 5_000);
    put("a", "late", clock.nowMs() + 3_600_000);
    worker.start();
    clock.advance(4_999);
    await turn();
    expect(begun).toEqual([]);
    clock.advance(1);
    await turn();
    expect(begun).toEqual(["soon"]);
    clock.jump(3_600_000);
    clock.advance(30_000);
    await turn();
    expect(begun).toEqual(["soon", "late"]);
  });

  it("lets work rest that fails unexpectedly, longer each time, and others go on", async () => {
    put("a", "a1");
    worker.start();
    await turn();
    for (const restMs of [1_000, 2_000, 4_000]) {
      end.get("a1")?.(new Error("a fault of this program"));
      await turn();
      begun = [];
      clock.advance(restMs - 1);
      await turn();
      expect(begun).toEqual([]);
      clock.advance(1);
      await turn();
      expect(begun).toEqual(["a1"]);
    }
    expect(failed).toEqual(["a1", "a1", "a1"]);
  });

  it("begins nothing while it stops, and cuts off what takes too long", async () => {
    put("a", "a1");
    worker.start();
    await turn();
    put("a", "a2");
    let isOver = false;
    const stopped = worker.stop().then(() => {
      isOver = true;
    });
    worker.start();
    clock.advance(1_999);
    await turn();
    expect([begun, isOver]).toEqual([["a1"], false]);
    clock.advance(1);
    await stopped;
    expect(worker.running(() => true)).toEqual([]);
  });
});

describe("DueTimes", () => {
  it("has what is due and the next in order, the sooner time of two", () => {
    const times = new DueTimes();
    for (const [key, atMs] of Object.entries({ c: 30, a: 10, b: 20, d: 40 })) times.put(key, atMs);
    times.put("d", 15);
    times.put("a", 99);
    times.delete("b");
    times.delete("never");
    expect(times.next(15).map(({ key, dueAtMs }) => [key, dueAtMs])).toEqual([
      ["a", 10],
      ["d", 15],
      ["c", 30],
    ]);
    expect(times.next(0).map(({ key }) => key)).toEqual(["a"]);
  });
});
