import { expect, test } from "vitest";
import { formatCount } from "../../src/model/quantity_text.js";

test.each([0, 7, 999, 1_000, 12_345, 999_999, 1_000_000, 1_234_567_890])(
  "counts %d as English does",
  (count) => {
    expect(formatCount(count)).toBe(count.toLocaleString("en-US"));
  },
);
