import { expect, it } from "vitest";
import { TimerWheel } from "../../src/runtime/timer_wheel.js";
import { ManualClock } from "../fakes/manual_clock.js";

it("keeps one timer for all members, and tells each in the second after its time", () => {
  const clock = new ManualClock(0);
  const wheel = new TimerWheel(clock);
  const told: string[] = [];
  const member = (name: string) => ({ bookmarkDue: () => void told.push(`${name} ${clock.monotonicMs()}`) });
  clock.advance(300);
  wheel.add(member("late"), 30_000);
  wheel.add(member("early"), 5_000);
  const gone = member("gone");
  const slot = wheel.add(gone, 5_000);
  expect(clock.pending).toBe(1);
  wheel.delete(gone, slot);
  clock.advance(40_000);
  expect(told).toEqual(["early 6000", "late 31000"]);
  expect(clock.pending).toBe(0);
});

it("has no timer when nobody is left", () => {
  const clock = new ManualClock(0);
  const wheel = new TimerWheel(clock);
  const member = { bookmarkDue: () => undefined };
  wheel.delete(member, wheel.add(member, 5_000));
  expect(clock.pending).toBe(0);
});

it("lets a member that is told add itself again", () => {
  const clock = new ManualClock(0);
  const wheel = new TimerWheel(clock);
  let count = 0;
  const member = {
    bookmarkDue: () => {
      count++;
      wheel.add(member, 5_000);
    },
  };
  wheel.add(member, 5_000);
  clock.advance(25_000);
  expect(count).toBe(5);
});
