import { expect, test } from "vitest";
import { LoopShare } from "../../src/runtime/loop_share.js";
import { ManualClock } from "../../src/runtime/manual_clock.js";

/** A loop that a test keeps busy. */
function shared() {
  const clock = new ManualClock(0);
  const loop = { active: 0, idle: 0 };
  const share = new LoopShare(clock, () => ({ ...loop }));
  let freed = 0;
  share.onFree = () => {
    freed++;
  };
  /** Time in which the loop ran for `active`, and waited for the rest. */
  const pass = async (ms: number, active: number): Promise<void> => {
    loop.active += active;
    loop.idle += ms - active;
    await clock.advance(ms);
  };
  return { share, pass, freed: () => freed };
}

test("work starts at once, four pieces in each millisecond", async () => {
  const { share, pass, freed } = shared();
  const taken = Array.from({ length: 6 }, () => share.take());
  expect(taken).toEqual([true, true, true, true, false, false]);
  expect(freed()).toBe(0);
  await pass(1, 0);
  expect(freed()).toBe(1);
  expect(share.take()).toBe(true);
});

test("work waits until the loop has waited for as long as it ran", async () => {
  const { share, pass, freed } = shared();
  expect(share.take()).toBe(true);
  await pass(9, 9);
  expect(share.take()).toBe(false);
  await pass(3, 0);
  expect(freed()).toBe(1);
  await pass(1, 0);
  expect(freed()).toBe(2);
  expect(share.take()).toBe(true);
});

test("a loop that was busy for long puts work off for 5 ms, not for as long again", async () => {
  const { share, pass, freed } = shared();
  expect(share.take()).toBe(true);
  await pass(5_000, 5_000);
  expect(share.take()).toBe(false);
  await pass(5, 0);
  expect(freed()).toBe(2);
  expect(share.take()).toBe(true);
});

test("half of the time is left whatever a piece takes", async () => {
  const { share, pass } = shared();
  let started = 0;
  for (let ms = 0; ms < 1_000; ms++) {
    let starts = 0;
    while (share.take()) starts++;
    started += starts;
    // Each piece keeps the loop busy for a millisecond behind its start.
    await pass(Math.max(1, starts), starts);
    ms += Math.max(0, starts - 1);
  }
  expect(started).toBeGreaterThan(450);
  expect(started).toBeLessThan(550);
});

test("a loop that never waits has a piece started in each ten milliseconds", async () => {
  const { share, pass, freed } = shared();
  expect(share.take()).toBe(true);
  await pass(1_000, 1_000);
  expect(share.take()).toBe(false);
  let started = 0;
  for (let ms = 0; ms < 1_000; ms++) {
    const before = freed();
    await pass(1, 1);
    if (freed() > before && share.take()) started++;
  }
  expect(started).toBeGreaterThan(90);
});
