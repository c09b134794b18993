import { describe, expect, it } from "vitest";
import {
  keepAliveMs,
  refreshNotBeforeMs,
  retryDelayMs,
  suspensionDelayMs,
} from "../../../src/model/refresh/refresh_policy.js";

const minuteMs = 60_000;

describe("refreshNotBeforeMs", () => {
  it.each([
    ["5 minutes before an hour is over", 60 * minuteMs, undefined, 0, 55 * minuteMs],
    ["at 80 % of 20 seconds", 20_000, undefined, 0, 16_000],
    ["earlier by at most a quarter of the window", 60 * minuteMs, undefined, 0.999999, 53.75 * minuteMs],
    ["by the profile's own window", 60 * minuteMs, 10 * minuteMs, 0, 50 * minuteMs],
    [
      "not before half of the lifetime, whatever the profile says",
      60 * minuteMs,
      120 * minuteMs,
      0,
      30 * minuteMs,
    ],
    ["at once for a token that is dead on arrival", 0, undefined, 0.5, 0],
  ])("is %s", (_name, lifetimeMs, overrideMs, random, expected) => {
    expect(refreshNotBeforeMs(1_000_000, 1_000_000 + lifetimeMs, overrideMs, random) - 1_000_000).toBeCloseTo(
      expected,
      -1,
    );
  });
});

describe("keepAliveMs", () => {
  const dayMs = 24 * 60 * minuteMs;
  it("uses a refresh token in the last fifth of its life, at most three days before its end", () => {
    expect(keepAliveMs(0, 10 * 60 * minuteMs, 0)).toBe(8 * 60 * minuteMs);
    expect(keepAliveMs(0, 90 * dayMs, 0)).toBe(87 * dayMs);
    expect(keepAliveMs(0, 1_000, 0)).toBe(10_000);
  });
});

describe("suspensionDelayMs", () => {
  it("doubles up to an hour", () => {
    expect([1, 2, 3].map((failures) => suspensionDelayMs(failures, 0))).toEqual([15_000, 30_000, 60_000]);
    expect(suspensionDelayMs(1000, 0.999999)).toBeLessThanOrEqual(60 * minuteMs);
  });
});

describe("retryDelayMs", () => {
  it("is short first, spread over the whole range, never below a quarter of a second", () => {
    expect([1, 2, 3, 4].map((failures) => retryDelayMs(failures, {}, 0.5))).toEqual([500, 1000, 2000, 4000]);
    expect(retryDelayMs(1, {}, 0)).toBe(250);
  });

  it("is slow from the sixth failure on, and doubles up to a day", () => {
    expect([6, 7, 8].map((failures) => retryDelayMs(failures, {}, 0))).toEqual([30_000, 60_000, 120_000]);
    expect(retryDelayMs(1000, {}, 0.999999)).toBeGreaterThan(24 * 60 * minuteMs - 1000);
    expect(retryDelayMs(1000, {}, 0.999999)).toBeLessThanOrEqual(24 * 60 * minuteMs);
  });

  it("does not pass the end of a living token, and chases none that is about to die", () => {
    expect(retryDelayMs(12, { remainingMs: 4 * minuteMs }, 0.5)).toBe(4 * minuteMs);
    expect(retryDelayMs(12, { remainingMs: 10 }, 0.5)).toBe(10_000);
    expect(retryDelayMs(12, { remainingMs: -1 }, 0.5)).toBeGreaterThan(minuteMs);
  });

  it("never undercuts what the provider asked for", () => {
    expect(retryDelayMs(1, { retryAfterMs: 10_000 }, 0.5)).toBe(10_000);
    expect(retryDelayMs(12, { retryAfterMs: 3_600_000, remainingMs: minuteMs }, 0.5)).toBe(3_600_000);
  });
});
