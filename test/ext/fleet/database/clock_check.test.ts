import { describe, expect, it } from "vitest";
import { CheckedClock } from "../../../../src/ext/fleet/database/checked_clock.js";
import { ClockCheck } from "../../../../src/ext/fleet/database/clock_check.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";

const startMs = 1_700_000_000_000;
const hourMs = 3_600_000;

/** A hub, its database and other hubs, each with a clock that is off by so much. */
class Scene {
  readonly machine = new ManualClock(startMs);
  readonly clock = new CheckedClock(this.machine, 5_000);
  readonly warnings: string[] = [];
  databaseOffMs = 0;
  othersOffMs: number[] = [0];
  asked = 0;
  /** How long the database and the others take to answer, and what happens meanwhile. */
  takesMs = 0;
  meanwhile = (): void => undefined;
  askOthers = async (): Promise<number[]> => this.othersOffMs.map((offMs) => this.trueMs + offMs);
  readonly check = new ClockCheck({
    clock: this.machine,
    checked: this.clock,
    askOthers: () => {
      this.asked++;
      return this.askOthers();
    },
    log: { ...silentLog, warn: (_, text) => void this.warnings.push(text) },
  });

  get trueMs(): number {
    return startMs + this.machine.monotonicMs();
  }

  /** As a heartbeat does it, every five seconds. */
  async round(): Promise<void> {
    await this.check.measure(async () => {
      this.machine.advance(this.takesMs / 2);
      const answer = this.trueMs + this.databaseOffMs;
      this.machine.advance(this.takesMs / 2);
      this.meanwhile();
      return answer;
    });
    void this.check.look();
    await new Promise((resolve) => setImmediate(resolve));
    this.machine.advance(5_000);
  }

  /** What this hub's judgement of time is off. */
  get offMs(): number {
    return this.clock.nowMs() - this.trueMs;
  }
}

describe("a hub's clock", () => {
  it.each([-5_000, 0, 5_000])(
    "is taken as it is where it is %i ms off, and nobody is asked",
    async (offMs) => {
      const scene = new Scene();
      scene.machine.jump(offMs);
      await scene.round();
      expect([scene.offMs, scene.check.offsetMs, scene.asked]).toEqual([offMs, offMs, 0]);
    },
  );

  it.each([-hourMs, -5_001, 5_001, hourMs])(
    "is corrected where it is %i ms off, and another hub has the database's time",
    async (offMs) => {
      const scene = new Scene();
      scene.machine.jump(offMs);
      scene.othersOffMs = [-2 * hourMs, 4_000];
      await scene.round();
      expect([scene.offMs, scene.check.offsetMs, scene.asked]).toEqual([0, offMs, 1]);
      expect(scene.check.isWrong).toBe(true);
      await scene.round();
      expect(scene.offMs).toBe(0);
      expect(scene.warnings).toEqual([
        "the clock is off: this hub goes by the time that the database and another hub have",
      ]);
    },
  );

  it.each([-hourMs, hourMs])(
    "is not corrected where the database's is %i ms off, at any time",
    async (offMs) => {
      const scene = new Scene();
      scene.databaseOffMs = offMs;
      await scene.round();
      expect([scene.offMs, scene.check.offsetMs]).toEqual([0, -offMs]);
      const later = new Scene();
      await later.round();
      later.databaseOffMs = offMs;
      for (let count = 0; count < 12; count++) {
        await later.round();
        expect(later.offMs).toBe(0);
      }
      expect(later.warnings).toEqual([
        "the clock is not the database's, and the other hubs do not have that either: this hub goes by its own",
      ]);
      expect(later.check.isWrong).toBe(false);
    },
  );

  it("is not outvoted by one hub that is off with the database, where more have its own time", async () => {
    const scene = new Scene();
    scene.databaseOffMs = -hourMs;
    scene.othersOffMs = [-hourMs, 0, 0, 1_000];
    await scene.round();
    expect([scene.offMs, scene.check.isWrong]).toEqual([0, false]);
  });

  it("that jumps is followed at no moment while the others answer", async () => {
    const scene = new Scene();
    await scene.round();
    scene.machine.jump(hourMs);
    for (let count = 0; count < 12; count++) {
      expect(scene.offMs).toBe(0);
      await scene.round();
    }
    scene.machine.jump(-hourMs);
    expect(scene.offMs).toBe(0);
    await scene.round();
    expect([scene.offMs, scene.check.offsetMs]).toEqual([0, 0]);
  });

  it.each([-hourMs, hourMs])(
    "that starts %i ms off goes by the database's until another hub was asked",
    async (offMs) => {
      const scene = new Scene();
      scene.machine.jump(offMs);
      let answer = (_: number[]): void => undefined;
      scene.askOthers = () =>
        new Promise((resolve) => {
          answer = resolve;
        });
      for (let count = 0; count < 4; count++) {
        await scene.round();
        expect(scene.offMs).toBe(0);
      }
      // They have the time of this hub: it is the database's that is off.
      answer([scene.trueMs + offMs]);
      await scene.round();
      expect(scene.offMs).toBe(offMs);
    },
  );

  it("stays as it was found while no other hub answers", async () => {
    const alone = new Scene();
    alone.machine.jump(hourMs);
    alone.othersOffMs = [];
    // Nothing was found yet: the database's time holds.
    for (let count = 0; count < 12; count++) await alone.round();
    expect(alone.offMs).toBe(0);
    const scene = new Scene();
    scene.machine.jump(hourMs);
    await scene.round();
    scene.othersOffMs = [];
    for (let count = 0; count < 12; count++) await scene.round();
    expect(scene.offMs).toBe(0);
  });

  it("is not judged by an answer that came late: the process may have stood still", async () => {
    const scene = new Scene();
    await scene.round();
    scene.takesMs = 1_000;
    scene.meanwhile = () => scene.machine.advance(12_000);
    await scene.round();
    expect([scene.check.offsetMs, scene.offMs, scene.asked]).toEqual([0, 0, 0]);
    scene.meanwhile = () => undefined;
    scene.machine.jump(hourMs);
    await scene.round();
    expect([scene.check.offsetMs, scene.offMs]).toEqual([hourMs, 0]);
  });
});
