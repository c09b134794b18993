import { describe, expect, it } from "vitest";
import { RefreshHistory } from "../../../src/domain/grants/refresh_history.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { Engine, tokenSet } from "../engine.js";

const minuteMs = 60_000;
const startMs = Date.UTC(2026, 10, 27, 10, 31);

describe("RefreshHistory", () => {
  it("counts by quarters of an hour since the start, and says when that was", () => {
    const clock = new ManualClock(startMs);
    const history = new RefreshHistory({ clock });
    history.record("refreshed");
    clock.advance(13 * minuteMs);
    history.record("retry");
    clock.advance(2 * minuteMs);
    for (const outcome of ["refreshed", "attention", "suspended"] as const) history.record(outcome);
    for (const outcome of ["superseded", "not_refreshable", "stopped"] as const) history.record(outcome);
    expect(history.read()).toEqual({
      startedAtMs: startMs,
      recordedSinceMs: startMs,
      intervalMs: 15 * minuteMs,
      intervals: [
        { startMs: startMs - minuteMs, refreshed: 1, retried: 1, failed: 0 },
        { startMs: startMs + 14 * minuteMs, refreshed: 1, retried: 0, failed: 2 },
      ],
    });
  });

  it("keeps 24 hours, whether anything happens in them or not", () => {
    const clock = new ManualClock(startMs);
    const history = new RefreshHistory({ clock });
    for (let hour = 0; hour < 100; hour++) {
      history.record("refreshed");
      clock.advance(60 * minuteMs);
    }
    const { recordedSinceMs, intervals } = history.read();
    expect(intervals).toHaveLength(96);
    expect(recordedSinceMs).toBe(intervals[0]?.startMs);
    expect(intervals.reduce((sum, { refreshed }) => sum + refreshed, 0)).toBe(23);
    clock.advance(48 * 60 * minuteMs);
    const later = history.read().intervals;
    expect(later).toHaveLength(96);
    expect(later.every(({ refreshed }) => refreshed === 0)).toBe(true);
  });

  describe("of the engine", () => {
    const engine = perTest(() => new Engine());

    it("tells what brought a token, what is tried again and what needs a person, each attempt once", async () => {
      const profile = await engine.provider("op");
      for (const answer of [
        { tokenSet: tokenSet() },
        { kind: "transient", httpStatus: 503 },
        { kind: "invalid_grant", httpStatus: 400 },
      ] as const)
        await engine.refreshed((await engine.connection(profile)).id, answer);
      await engine.refresher.refresh("00000000-0000-4000-8000-000000000000");
      expect(engine.history.read().intervals).toMatchObject([{ refreshed: 1, retried: 1, failed: 1 }]);
    });
  });
});
