import { expect, test } from "vitest";
import type { Fault } from "./faults.js";
import { explanationOf, failures, type Sender, type StormReport } from "./judge.js";

const loss = { grant: "g", attempt: "a", receivedMs: 10_000 };
const fault = (change: Partial<Fault>): Fault => ({
  kind: "kill",
  owner: "o",
  fromMs: 10_050,
  untilMs: 10_051,
  ...change,
});
const explained = (sender: Sender | undefined, ...faults: readonly Partial<Fault>[]) =>
  explanationOf(loss, sender, faults.map(fault));

test.each<[string, Partial<Fault>, boolean]>([
  ["a kill of the sender after the request came", {}, true],
  ["a kill of the sender while its request was in the air", { fromMs: 9_500 }, true],
  ["a kill of the sender long before the request came", { fromMs: 8_999 }, false],
  ["a kill of the sender long after the answer", { fromMs: 14_000 }, false],
  ["a kill of another process", { owner: "p" }, false],
  ["a pause of the sender", { kind: "pause" }, false],
  ["a SIGTERM", { kind: "terminate" }, false],
  ["the death of the database", { kind: "kill database", owner: "" }, false],
  [
    "a cut of its link to the provider, of which it said nothing",
    { kind: "cut provider", owner: "every" },
    false,
  ],
  ["a stall of which it said nothing", { kind: "stall", owner: "every", untilMs: 12_000 }, false],
])("%s explains a loss: %s", (_, change, explains) => {
  expect(explained({ owner: "o", unansweredMs: undefined }, change) !== undefined).toBe(explains);
});

test.each<[string, Partial<Fault>, boolean]>([
  ["a cut of the link to the provider while the answer was on its way", { kind: "cut provider" }, true],
  ["a cut of that link before the request", { kind: "cut provider", fromMs: 9_900 }, false],
  ["a cut of that link after the sender had said so", { kind: "half-open provider", fromMs: 10_800 }, false],
  ["a slow link to the provider", { kind: "slow provider" }, false],
  ["a cut of its link to the database", { kind: "cut database", owner: "o" }, false],
  [
    "a stall of the provider in which the request came",
    { kind: "stall", fromMs: 7_000, untilMs: 10_000 },
    true,
  ],
  ["a stall of the provider before the answer", { kind: "stall", fromMs: 10_100, untilMs: 12_000 }, true],
  ["a stall that was over before the request came", { kind: "stall", fromMs: 7_000, untilMs: 9_900 }, false],
  ["a stall long after the answer", { kind: "stall", fromMs: 10_800, untilMs: 12_000 }, false],
  ["a kill of the sender", { owner: "o" }, false],
])("where the sender says that no answer came back, %s explains the loss: %s", (_, change, explains) => {
  const sender = { owner: "o", unansweredMs: 10_700 };

  expect(explained(sender, { owner: "every", ...change }) !== undefined).toBe(explains);
});

test("what the sender says long after a request could be under way explains nothing, but while it was stopped it said nothing", () => {
  const late = { owner: "o", unansweredMs: 151_000 };
  const cut = { kind: "cut provider", owner: "every" } as const;

  expect(explained(late, cut)).toBeUndefined();
  expect(explained(late, cut, { kind: "pause", fromMs: 11_000, untilMs: 19_000 })).toBe("cut provider");
});

test("a kill explains a loss for longer where the answer could not come sooner", () => {
  const sender = { owner: "o", unansweredMs: undefined };
  const kill = { fromMs: 16_000 };

  expect(explained(sender, kill)).toBeUndefined();
  expect(explained(sender, kill, { kind: "half-open provider", owner: "every", untilMs: 14_000 })).toBe(
    "kill",
  );
});

test("nothing explains the loss of what no process is known to have sent", () => {
  expect(explained(undefined, {})).toBeUndefined();
});

const good: StormReport = {
  refreshes: 100,
  commits: 100,
  faults: {},
  reigns: 1,
  overlaps: 0,
  grantsLost: 2,
  explained: { kill: 1, "cut provider": 1 },
  stalled: 0.09,
  ackedMissing: 0,
  gaps: 0,
  auditEvents: 1,
  reads: 1_000,
  acknowledged: 10,
  broken: [],
};

test.each<[string, Partial<StormReport>, number]>([
  ["all held", {}, 0],
  ["requests overlapped", { overlaps: 1 }, 1],
  ["a loss has no reason", { grantsLost: 3 }, 1],
  ["an acknowledged batch is missing", { ackedMissing: 1 }, 1],
  ["positions have a gap", { gaps: 1 }, 1],
  ["nothing was refreshed", { refreshes: 0 }, 1],
  ["nothing was read", { reads: 0 }, 1],
  ["the storm itself stood still for a tenth of the time", { stalled: 0.1 }, 1],
  ["a hub differs", { broken: ["hub 1 differs from a fresh copy"] }, 1],
])("a storm in which %s", (_, change, count) => {
  expect(failures({ ...good, ...change })).toHaveLength(count);
});
