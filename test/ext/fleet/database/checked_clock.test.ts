import { describe, expect, it } from "vitest";
import { CheckedClock } from "../../../../src/ext/fleet/database/checked_clock.js";
import { ManualClock } from "../../../fakes/manual_clock.js";

const startMs = 1_700_000_000_000;
const hourMs = 3_600_000;

/** The machine's clock is off by so much. */
function clocks(offMs = 0) {
  const machine = new ManualClock(startMs + offMs);
  const clock = new CheckedClock(machine, 5_000);
  const hear = (ms: number) => clock.follow({ ms, monotonicMs: machine.monotonicMs() });
  return { machine, clock, hear };
}

describe("a clock that is checked", () => {
  it("is the machine's while nobody has said otherwise, wherever that is set", () => {
    const { machine, clock } = clocks();
    machine.jump(hourMs);
    expect(clock.nowMs()).toBe(startMs + hourMs);
  });

  it.each([-5_000, -1, 0, 5_000])("is the machine's where that is %i ms off", (offMs) => {
    const { machine, clock, hear } = clocks(offMs);
    hear(startMs);
    machine.advance(60_000);
    expect(clock.nowMs()).toBe(machine.nowMs());
  });

  it.each([-hourMs, -5_001, 5_001, hourMs])("is the other one where the machine's is %i ms off", (offMs) => {
    const { machine, clock, hear } = clocks(offMs);
    hear(startMs - 0.4);
    expect(clock.nowMs()).toBe(startMs);
    machine.advance(11_000);
    expect(clock.nowMs()).toBe(startMs + 11_000);
    // And goes on while the other one is not heard.
    machine.advance(hourMs);
    expect(clock.nowMs()).toBe(startMs + 11_000 + hourMs);
  });

  it.each([-hourMs, hourMs])("does not follow a machine's that jumps by %i ms, for 12 s", (byMs) => {
    const { machine, clock, hear } = clocks();
    hear(startMs);
    machine.advance(1_000);
    machine.jump(byMs);
    expect(clock.nowMs()).toBe(startMs + 1_000);
    machine.advance(10_999);
    expect(clock.nowMs()).toBe(startMs + 11_999);
    machine.advance(1);
    expect(clock.nowMs()).toBe(startMs + 12_000 + byMs);
  });

  it("is the machine's at once when that is right again, or is to be followed", () => {
    const { machine, clock, hear } = clocks(hourMs);
    hear(startMs);
    machine.advance(1_000);
    machine.jump(-hourMs);
    expect(clock.nowMs()).toBe(machine.nowMs());
    machine.jump(hourMs);
    clock.follow(undefined);
    expect(clock.nowMs()).toBe(startMs + hourMs + 1_000);
  });

  it("counts from when the other one was heard, and has the machine's timers", () => {
    const { machine, clock } = clocks(hourMs);
    machine.advance(2_000);
    clock.follow({ ms: startMs, monotonicMs: 500 });
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([startMs + 1_500, 2_000]);
    let fired = 0;
    clock.setTimer(1_000, () => void fired++);
    machine.advance(1_000);
    expect(fired).toBe(1);
  });
});
