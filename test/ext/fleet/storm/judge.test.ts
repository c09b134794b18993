import { expect, test } from "vitest";
import type { Fault } from "./faults.js";
import { failures, isExplained, type StormReport } from "./judge.js";
import type { Reuse } from "./provider.js";

const reuse: Reuse = {
  grant: "g",
  atMs: 20_000,
  rotation: { grant: "g", attempt: "a", owner: "o", receivedMs: 10_000 },
};
const fault = (change: Partial<Fault>): Fault => ({
  kind: "kill",
  owner: "o",
  fromMs: 10_050,
  untilMs: 10_051,
  ...change,
});

test.each<[string, Partial<Fault>, boolean]>([
  ["a kill of the sender after the request came", {}, true],
  ["a kill of the sender while its request was in the air", { fromMs: 9_500 }, true],
  ["a kill of the sender long before the request came", { fromMs: 8_999 }, false],
  ["a kill of another process", { owner: "p" }, false],
  ["a pause of the sender", { kind: "pause" }, false],
  ["a SIGTERM", { kind: "terminate" }, false],
  ["a cut of its link to the database", { kind: "cut database" }, false],
  ["the death of the database", { kind: "kill database", owner: "" }, false],
  ["a cut of its link to the provider while the answer was on its way", { kind: "cut provider" }, true],
  ["a cut of that link before the request", { kind: "cut provider", fromMs: 9_900 }, false],
  ["a cut of that link long after the answer", { kind: "half-open provider", fromMs: 10_800 }, false],
  ["a slow link to the provider", { kind: "slow provider" }, false],
  [
    "a stall of the provider in which the request came",
    { kind: "stall", fromMs: 7_000, untilMs: 10_000 },
    true,
  ],
  ["a stall of the provider before the answer", { kind: "stall", fromMs: 10_100, untilMs: 12_000 }, true],
  ["a stall that was over before the request came", { kind: "stall", fromMs: 7_000, untilMs: 9_900 }, false],
  ["a stall long after the answer", { kind: "stall", fromMs: 10_800, untilMs: 12_000 }, false],
  ["a cut of the link that all have to the provider", { kind: "cut provider", owner: "every" }, true],
])("%s explains a loss: %s", (_, change, explains) => {
  expect(isExplained(reuse, [fault(change)], new Set())).toBe(explains);
});

test("a cut of the link explains a loss until the sender said that no answer had come, and not after it", () => {
  const cut = fault({ kind: "cut provider", fromMs: 12_000 });

  expect(isExplained(reuse, [cut], new Set(), 12_100)).toBe(true);
  expect(isExplained(reuse, [cut], new Set(), 11_900)).toBe(false);
});

test("nothing explains the loss of an outcome that is durable or in a spool file, or of a token that never was one", () => {
  expect(isExplained(reuse, [fault({})], new Set(["a"]))).toBe(false);
  expect(isExplained({ ...reuse, rotation: undefined }, [fault({})], new Set())).toBe(false);
});

const good: StormReport = {
  refreshes: 100,
  commits: 100,
  faults: {},
  reigns: 1,
  overlaps: 0,
  grantsLost: 2,
  explained: 2,
  ackedMissing: 0,
  gaps: 0,
  auditEvents: 1,
  broken: [],
};

test.each<[string, Partial<StormReport>, number]>([
  ["all held", {}, 0],
  ["requests overlapped", { overlaps: 1 }, 1],
  ["a loss has no reason", { grantsLost: 3 }, 1],
  ["an acknowledged batch is missing", { ackedMissing: 1 }, 1],
  ["positions have a gap", { gaps: 1 }, 1],
  ["nothing was refreshed", { refreshes: 0 }, 1],
  ["a hub differs", { broken: ["hub 1 differs from a fresh copy"] }, 1],
])("a storm in which %s", (_, change, count) => {
  expect(failures({ ...good, ...change })).toHaveLength(count);
});
