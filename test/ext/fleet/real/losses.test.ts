import { expect, test } from "vitest";
import type { Fault } from "../storm/faults.js";
import { sentTooLate } from "./losses.js";

/** A request of the reign that another hub ended at 10 s. */
const log = {
  senderOf: (grant: string) => (grant === "unknown" ? undefined : { fence: "5", isDurable: false }),
  endOf: () => 10_000,
  historyOf: () => ["fence 5 revision 7"],
};
const fault = (kind: Fault["kind"], fromMs: number, untilMs: number): Fault => ({
  ...{ kind, owner: "o", fromMs, untilMs },
});
const late = (receivedMs: number, faults: readonly Fault[] = [], grant = "g") =>
  sentTooLate(log, [{ grant, receivedMs }], faults);

test("a request was sent too late if it comes when another hub has led for longer than a request is on its way", () => {
  expect(late(10_500)).toEqual([]);
  expect(late(12_578.4, [fault("pause", 8_000, 12_500), fault("kill", 30_000, 30_001)])).toEqual([
    "a request of g was sent 2578 ms after another hub led\nfence 5 revision 7\n1970-01-01T00:00:08.000Z pause of o for 4500 ms",
  ]);
});

test("a stall of the provider explains it if it began in time, and lasted until the request came", () => {
  expect(late(12_578, [fault("stall", 10_400, 12_570)])).toEqual([]);
  expect(late(12_578, [fault("stall", 10_600, 12_570)])).toHaveLength(1);
  expect(late(12_578, [fault("stall", 10_400, 12_500)])).toHaveLength(1);
});

test("a request that no hub is known to have sent is not late", () => {
  expect(late(12_578, [], "unknown")).toEqual([]);
});
