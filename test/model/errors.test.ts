import { describe, expect, it } from "vitest";
import { ResourceExhausted, Unavailable } from "../../src/model/errors.js";

describe("an error that says when to come again", () => {
  const limited = (retryAfterMs?: number) =>
    new ResourceExhausted("RATE_LIMITED", {
      ...{ what: "calls", limit: 1, unit: "per second" },
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });

  it.each([
    [-1, 1_000],
    [1, 1_000],
    [1_000, 1_000],
    [1_001, 1_001],
  ])("says a second at least: %i ms become %i", (asked, said) => {
    expect(new Unavailable("busy", asked).retryAfterMs).toBe(said);
    expect(limited(asked).reached.retryAfterMs).toBe(said);
  });

  it("says nothing where no time helps", () => {
    expect(new Unavailable("busy").retryAfterMs).toBeUndefined();
    expect(limited().reached).not.toHaveProperty("retryAfterMs");
  });
});
