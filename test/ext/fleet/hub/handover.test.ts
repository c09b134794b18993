import { describe, expect, it } from "vitest";
import { Handover } from "../../../../src/ext/fleet/hub/handover.js";
import type { SpoolOutcome } from "../../../../src/model/connections/spooled_token_set.js";
import { StoreFailed } from "../../../../src/store/lmdb/store_error.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";

/** The database, with what hubs left there: each entry is a byte, its digest the same. */
function handoverOf(
  entries: Set<number>,
  importTokenSet: (entry: number) => Promise<SpoolOutcome | undefined>,
) {
  const bytesOf = (entry: number): Uint8Array => Uint8Array.of(entry);
  const left = {
    leave: async () => undefined,
    list: async (without: readonly Uint8Array[]) =>
      [...entries]
        .filter((entry) => !without.some(([digest]) => digest === entry))
        .map((entry) => ({ digest: bytesOf(entry), tokenSet: bytesOf(entry) })),
    drop: async (digests: readonly Uint8Array[]) => {
      for (const [digest = 0] of digests) entries.delete(digest);
    },
  };
  const spool = {
    flushToLeader: async () => undefined,
    importTokenSet: ([entry = 0]: Uint8Array) => importTokenSet(entry),
  };
  const store = { role: "leader", outbox: undefined, onRecorded: () => undefined, settled: async () => true };
  return new Handover({
    ...{
      store,
      spool,
      left: () => left,
      restored: () => undefined,
      clock: new ManualClock(0),
      log: silentLog,
    },
    calls: { hand: () => Promise.reject(new Error("it leads itself")) },
  } as unknown as ConstructorParameters<typeof Handover>[0]);
}

describe("a hub that comes to lead", () => {
  it("takes in what others left, whatever cannot be", async () => {
    const entries = new Set([1, 2, 3]);
    const handover = handoverOf(entries, async (entry) => {
      if (entry === 2) throw new TypeError("the record of its connection cannot be read");
      return "stored";
    });
    await handover.importAll(false);
    expect([...entries]).toEqual([2]);
  });

  it("does not lead on a store that has failed", async () => {
    const entries = new Set([1]);
    const failed = new StoreFailed("the disk is full");
    const handover = handoverOf(entries, () => Promise.reject(failed));
    await expect(handover.importAll(false)).rejects.toBe(failed);
    expect([...entries]).toEqual([1]);
  });
});
