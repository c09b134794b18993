import { expect, test } from "vitest";
import { parseRetryAfterMs } from "../../src/outbound/retry_after.js";

const nowMs = Date.UTC(2026, 0, 1, 12, 0, 0);

test.each<[header: string | null, ms: number | undefined]>([
  [null, undefined],
  ["", undefined],
  ["120", 120_000],
  [" 120 ", 120_000],
  ["0", 1000],
  ["1", 1000],
  ["3600", 3_600_000],
  ["86400", 3_600_000],
  ["9".repeat(400), 3_600_000],
  ["-5", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["soon GMT", undefined],
  ["Thu, 01 Jan 2026 12:02:00 GMT", 120_000],
  ["Thursday, 01-Jan-26 12:02:00 GMT", 120_000],
  ["Thu, 01 Jan 2026 12:00:00 GMT", 1000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 1000],
  ["Fri, 01 Jan 2027 00:00:00 GMT", 3_600_000],
  ["Thu, 01 Jan 2026 12:02:00", undefined],
])("Retry-After %j", (header, ms) => {
  expect(parseRetryAfterMs(header, nowMs)).toBe(ms);
});
