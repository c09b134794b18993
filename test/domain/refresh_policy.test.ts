import { describe, expect, it } from "vitest";
import { refreshNotBeforeMs, retryDelayMs } from "../../src/domain/refresh_policy.js";

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

describe("retryDelayMs", () => {
  it("doubles up to an hour, spread over the whole range, never below a quarter of a second", () => {
    expect([1, 2, 3, 4].map((failures) => retryDelayMs(failures, undefined, 0.5))).toEqual([
      500, 1000, 2000, 4000,
    ]);
    expect(retryDelayMs(100, undefined, 0.999999)).toBeGreaterThan(3_599_000);
    expect(retryDelayMs(1, undefined, 0)).toBe(250);
    expect(retryDelayMs(1, 10_000, 0.5)).toBe(10_000);
  });
});
