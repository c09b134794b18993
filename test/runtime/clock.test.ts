import { describe, expect, it } from "vitest";
import { type Clock, delay, SystemClock, setDeadline } from "../../src/runtime/clock.js";
import { ManualClock } from "../fakes/manual_clock.js";

describe("SystemClock", () => {
  it("fires at once without a delay, and not at once beyond 2^31-1 ms", async () => {
    const clock = new SystemClock();
    const fired: string[] = [];
    const far = clock.setTimer(2 ** 31 + 1000, () => fired.push("far"));
    await new Promise<void>((resolve) => clock.setTimer(0, resolve));
    await new Promise<void>((resolve) => clock.setTimer(20, resolve));
    expect(fired).toEqual([]);
    far.cancel();
  });

  it("does not fire after it was cancelled", async () => {
    const clock = new SystemClock();
    let fired = false;
    clock
      .setTimer(1, () => {
        fired = true;
      })
      .cancel();
    await new Promise<void>((resolve) => clock.setTimer(10, resolve));
    expect(fired).toBe(false);
  });
});

describe("ManualClock", () => {
  it("fires in order of time, each at its own time, those set on the way included", () => {
    const clock = new ManualClock(1000);
    const fired: [string, number][] = [];
    clock.setTimer(20, () => fired.push(["b", clock.nowMs()]));
    clock.setTimer(10, () => {
      fired.push(["a", clock.nowMs()]);
      clock.setTimer(5, () => fired.push(["c", clock.nowMs()]));
    });
    clock.advance(100);
    expect(fired).toEqual([
      ["a", 1010],
      ["c", 1015],
      ["b", 1020],
    ]);
    expect(clock.nowMs()).toBe(1100);
    expect(clock.pending).toBe(0);
  });

  it("jumps without firing: the monotonic clock stands", () => {
    const clock = new ManualClock(1000);
    let fired = false;
    clock.setTimer(10, () => {
      fired = true;
    });
    clock.jump(1_000_000);
    expect([fired, clock.nowMs(), clock.monotonicMs()]).toEqual([false, 1_001_000, 0]);
  });
});

describe("delay", () => {
  it("ends with its time, or with the signal, and leaves no timer", async () => {
    const clock = new ManualClock(0);
    const waited = delay(clock, 50);
    clock.advance(50);
    await waited;
    const stop = new AbortController();
    const stopped = delay(clock, 50, stop.signal);
    stop.abort();
    await stopped;
    await delay(clock, 50, AbortSignal.abort());
    expect(clock.pending).toBe(0);
  });
});

describe("setDeadline", () => {
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  /** A clock whose next timer fires `lateMs` late, as all do that are due when a process was paused. */
  function pausedFor(clock: ManualClock, lateMs: number): Clock {
    let behindMs = lateMs;
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, callback) => {
        const timer = clock.setTimer(delayMs + behindMs, callback);
        behindMs = 0;
        return timer;
      },
    };
  }

  it("gives I/O one turn before it fires", async () => {
    const clock = new ManualClock(0);
    let fired = false;
    setDeadline(clock, 50, () => {
      fired = true;
    });
    clock.advance(50);
    expect(fired).toBe(false);
    await turn();
    expect(fired).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("waits two seconds more when it fired late, counted from then", async () => {
    const clock = new ManualClock(0);
    const fired: number[] = [];
    setDeadline(pausedFor(clock, 60_000), 10_000, () => fired.push(clock.monotonicMs()));
    clock.advance(71_999);
    await turn();
    expect(fired).toEqual([]);
    clock.advance(1);
    await turn();
    expect(fired).toEqual([72_000]);
  });

  it("does not fire after it was cancelled: before its time, in its last turn, after a pause", async () => {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    const early = setDeadline(clock, 50, () => fired.push("early"));
    early.cancel();
    const last = setDeadline(clock, 50, () => fired.push("last"));
    const late = setDeadline(pausedFor(clock, 1_000), 50, () => fired.push("late"));
    clock.advance(50);
    last.cancel();
    clock.advance(1_000);
    expect(clock.pending).toBe(1);
    late.cancel();
    clock.advance(5_000);
    await turn();
    expect(fired).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
