import { expect, it } from "vitest";
import { WriteLimit } from "../../../../src/ext/fleet/calls/write_limit.js";
import type { CommitWait } from "../../../../src/ext/fleet/database/log/commit_wait.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { nowMs } from "../../../samples.js";

/** A call of the leader that waits for a database. */
function waiting() {
  const clock = new ManualClock(nowMs);
  let sinceMs: number | undefined;
  const commitWait = (): CommitWait | undefined =>
    sinceMs === undefined ? undefined : { waitedMs: clock.monotonicMs() - sinceMs, error: new Error("full") };
  let call!: { readonly resolve: (answer: string) => void; readonly reject: (error: Error) => void };
  const work = new Promise<string>((resolve, reject) => {
    call = { resolve, reject };
  });
  let ended: unknown;
  void new WriteLimit({ commitWait, clock }).within(work).then(
    (answer) => {
      ended = answer;
    },
    (error: unknown) => {
      ended = error;
    },
  );
  return {
    clock,
    call,
    hang: () => {
      sinceMs = clock.monotonicMs();
    },
    heal: () => {
      sinceMs = undefined;
    },
    async after(ms: number) {
      clock.advance(ms);
      await new Promise(setImmediate);
      return ended;
    },
  };
}

it("answers the caller when the database has hung for 15 seconds, and leaves the commit alone", async () => {
  const { hang, after, clock, call } = waiting();
  expect(await after(10_000)).toBeUndefined();
  hang();
  expect(await after(14_999)).toBeUndefined();
  expect(await after(1)).toMatchObject({
    kind: "unavailable",
    message: expect.stringMatching(/has not committed for 15 s .*look whether the request was acted on/),
  });
  call.reject(new Error("the store has failed"));
  expect(clock.pending).toBe(0);
});

it("gives no limit to work that waits for something else, nor where the database comes back", async () => {
  const slow = waiting();
  expect(await slow.after(600_000)).toBeUndefined();
  slow.hang();
  expect(await slow.after(10_000)).toBeUndefined();
  slow.heal();
  expect(await slow.after(60_000)).toBeUndefined();
  slow.call.resolve("done");
  expect(await slow.after(0)).toBe("done");
  expect(slow.clock.pending).toBe(0);
});
