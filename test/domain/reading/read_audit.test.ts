import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReadAudit } from "../../../src/domain/reading/read_audit.js";
import { admin, at, owner } from "../../../src/model/access/principal.js";
import { FailedPrecondition, NotFound, Unavailable } from "../../../src/model/errors.js";
import type { Store } from "../../../src/store/store.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { aConnection, nowMs } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

describe("ReadAudit", () => {
  let store: Store;
  const clock = perTest(() => new ManualClock(nowMs));
  let readAudit: ReadAudit;
  const caller = at(owner, "unix");

  beforeEach(async () => {
    store = openStore();
    readAudit = new ReadAudit({ store, clock, log: silentLog });
    await store.commit((tx) => tx.putConnection(aConnection({ id: "c1", providerId: "p1" })));
  });
  afterEach(async () => {
    await store.close();
  });

  const events = () =>
    store
      .listAuditEvents({ limit: 100 })
      .events.map(({ event }) => event)
      .reverse();
  const told = () => events().map(({ type, revision, count }) => [type, Number(revision), count ?? 1]);

  it("records the first read before it lets go, and later ones with a look-up", async () => {
    const first = readAudit.read(caller, "c1", 1n);
    expect(first).toBeInstanceOf(Promise);
    await first;
    expect(events()).toEqual([
      {
        timeMs: nowMs,
        type: "token_retrieved",
        principal: "owner",
        origin: "unix",
        connectionId: "c1",
        providerId: "p1",
        userId: "user of c1",
        revision: 1n,
      },
    ]);
    for (let i = 0; i < 5; i++) expect(readAudit.read(caller, "c1", 1n)).toBeUndefined();
    expect(told()).toHaveLength(1);
  });

  it("lets readers of the same token wait for the same record", async () => {
    const [one, other] = [readAudit.read(caller, "c1", 1n), readAudit.read(caller, "c1", 1n)];
    expect(other).toBe(one);
    await one;
    expect(told()).toHaveLength(1);
  });

  it("writes the count of a revision with the first read of the next", async () => {
    await readAudit.read(caller, "c1", 1n);
    for (let i = 0; i < 3; i++) void readAudit.read(caller, "c1", 1n);
    await readAudit.read(caller, "c1", 2n);
    expect(told()).toEqual([
      ["token_retrieved", 1, 1],
      ["token_reads_counted", 1, 3],
      ["token_retrieved", 2, 1],
    ]);
  });

  it("writes the counts at the end, once", async () => {
    await readAudit.read(caller, "c1", 1n);
    void readAudit.read(caller, "c1", 1n);
    await readAudit.flush();
    await readAudit.flush();
    expect(told().slice(1)).toEqual([["token_reads_counted", 1, 1]]);
  });

  it("tells readers apart by principal and address, not by port", async () => {
    await readAudit.read(caller, "c1", 1n);
    await readAudit.read(at(admin, "10.0.0.1:5000"), "c1", 1n);
    expect(readAudit.read(at(admin, "10.0.0.1:5001"), "c1", 1n)).toBeUndefined();
    expect(readAudit.read(at(admin, "[::1]:5001"), "c1", 1n)).toBeInstanceOf(Promise);
    expect(readAudit.read(at(admin, "::1"), "c1", 1n)).toBeInstanceOf(Promise);
    expect(readAudit.read(at(admin, "::2"), "c1", 1n)).toBeInstanceOf(Promise);
  });

  it("counts an announced read only when it is made", async () => {
    void readAudit.announce(caller, "c1", 1n);
    void readAudit.announce(caller, "c2", 1n);
    await readAudit.read(caller, "c1", 1n);
    expect(readAudit.read(caller, "c1", 1n)).toBeUndefined();
    await readAudit.flush();
    expect(events().map(({ type, connectionId, count }) => [type, connectionId, count])).toEqual([
      ["token_retrieved", "c1", undefined],
      ["token_retrieved", "c2", undefined],
      ["token_reads_counted", "c1", 1],
    ]);
  });

  it("keeps the token back when the read cannot be recorded, and tries again the next time", async () => {
    let broken = true;
    const failing = new ReadAudit({
      store: { record: (change) => (broken ? Promise.reject(new Error("disk")) : store.record(change)) },
      clock,
      log: silentLog,
    });
    await expect(failing.read(caller, "c1", 1n)).rejects.toBeInstanceOf(Unavailable);
    await expect(failing.read(caller, "c1", 1n)).rejects.toBeInstanceOf(Unavailable);
    broken = false;
    await failing.read(caller, "c1", 1n);
    expect(told()).toEqual([["token_retrieved", 1, 1]]);
  });

  it("forgets the readers that were not seen for longest, with their counts on record", async () => {
    readAudit = new ReadAudit({ store, clock, log: silentLog, maxEntries: 3 });
    for (const id of ["a", "b", "c"]) await readAudit.read(caller, id, 1n);
    void readAudit.read(caller, "a", 1n);
    void readAudit.read(caller, "c", 1n);
    await readAudit.read(caller, "d", 1n);
    expect(readAudit.size).toBe(3);
    expect(readAudit.read(caller, "a", 1n)).toBeUndefined();
    expect(readAudit.read(caller, "b", 1n)).toBeInstanceOf(Promise);
    for (const id of ["e", "f", "g"]) await readAudit.read(caller, id, 1n);
    const counted = events().filter(({ type }) => type === "token_reads_counted");
    expect(counted.map(({ connectionId, count }) => [connectionId, count])).toEqual(
      expect.arrayContaining([
        ["a", 2],
        ["c", 1],
      ]),
    );
  });

  it("records a refusal, and counts those of the same kind for a minute", async () => {
    const refusal = new FailedPrecondition("CONNECTION_REVOKED", "it is");
    for (let i = 0; i < 4; i++) await readAudit.refused(caller, "c1", refusal);
    await readAudit.refused(caller, "c1", new Unavailable("later"));
    clock.advance(60_000);
    await readAudit.refused(caller, "c1", refusal);
    await readAudit.flush();
    const failed = events().map(({ type, reason, count }) => [type, reason, count]);
    expect(failed).toEqual([
      ["token_retrieval_failed", "connection_revoked", undefined],
      ["token_retrieval_failed", "unavailable", undefined],
      ["token_retrieval_failed", "connection_revoked", 3],
      ["token_retrieval_failed", "connection_revoked", undefined],
    ]);
  });

  it("does not let made-up ids fill the log", async () => {
    for (let i = 0; i < 100; i++) await readAudit.refused(caller, `made-up-${i}`, new NotFound("connection"));
    expect(events()).toMatchObject([{ type: "token_retrieval_failed", reason: "not_found" }]);
  });
});
