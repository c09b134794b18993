import { describe, expect, test } from "vitest";
import { ImportRecovery } from "../../../src/domain/provisioning/import_recovery.js";
import type { PendingImport } from "../../../src/model/connections/pending_import.js";
import { newId } from "../../../src/model/ids.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { nowMs, sealed } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { Engine, hourMs, startMs, tokenSet } from "../engine.js";

const minuteMs = 60_000;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("two daemons on one copied store", () => {
  const first = perTest(() => new Engine());

  /** The first is refreshing, and its answer is in the air, when its store is copied. */
  async function copied(afterMs: number): Promise<{ id: string; second: Engine }> {
    const { id } = await first.connected();
    first.clock.advance(afterMs);
    first.refresher.refresh(id).catch(() => undefined);
    await first.untilSent(1);
    const folder = temporaryFolder();
    await first.store.copyTo(folder);
    const second = new Engine(folder);
    second.clock.advance(afterMs + 1_000);
    return { id, second };
  }

  test("never both send: the second leaves the request of the first alone while the token lives", async () => {
    const { id, second } = await copied(57 * minuteMs);
    try {
      expect(second.store.owner).not.toBe(first.store.owner);
      second.scheduler.start();
      expect(await second.refresher.refresh(id)).toBe("retry");
      second.clock.advance(45_000);
      await turns();
      expect(second.sent).toEqual([]);
      expect(second.scheduler.health()).toBe(true);
      second.clock.advance(118_000);
      await turns();
      expect(second.sent).toEqual([]);
      // Seconds before the end nobody is waited for any more: it is today's probe.
      second.clock.advance(2_000);
      const probe = await second.untilSent(1);
      expect(second.get(id).refreshIntent).toMatchObject({ sends: 2, owner: second.store.owner });
      probe.answer({ tokenSet: tokenSet() });
      await second.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    } finally {
      await second.close();
    }
  });

  test("the second waits for longer than a request lasts, however short the token lives", async () => {
    const { id, second } = await copied(hourMs - 1_000);
    try {
      expect(await second.refresher.refresh(id)).toBe("retry");
      second.clock.advance(138_000);
      expect(await second.refresher.refresh(id)).toBe("retry");
      second.clock.advance(1_000);
      expect(await second.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
    } finally {
      await second.close();
    }
  });
});

describe("a mark of intent", () => {
  const engine = perTest(() => new Engine());

  test("is this daemon's own after a crash: it asks at once", async () => {
    const folder = temporaryFolder();
    const before = new Engine(folder);
    const { id } = await before.connected();
    void before.refresher.refresh(id).catch(() => undefined);
    await before.untilSent(1);
    await before.store.close();
    const after = new Engine(folder);
    expect(await after.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
    await after.close();
  });

  test("of another daemon is waited for as well where the profile cannot be read, and ends nothing", async () => {
    const { id, providerId, dueAtMs = 0 } = await engine.connected();
    const other = await engine.connection(await engine.provider("other"));
    const refreshIntent = {
      ...{ credentialRevision: 1n, startedAtMs: dueAtMs, sends: 1 },
      ...{ owner: newId(), attempt: newId() },
    };
    await engine.store.commit((tx) => tx.putUnannounced({ ...engine.get(id), refreshIntent }));
    engine.damage("providers", providerId);
    engine.clock.advance(hourMs - minuteMs);
    engine.scheduler.start();
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet() });
    await engine.until(other.id, ({ credentialRevision }) => credentialRevision === 2n);
    // The commit announces it, as well as the timers do.
    await engine.store.commit((tx) => tx.putConnection(engine.get(id)));
    for (let minute = 0; minute < 30; minute++) {
      engine.clock.advance(minuteMs);
      await turns();
    }
    expect(engine.sent).toHaveLength(1);
    expect(engine.get(id)).toMatchObject({ status: "active", refreshIntent });
  });

  test("of another attempt is not ended by an outcome: neither by a success nor by a refusal", async () => {
    const { id } = await engine.connected();
    const attempted = engine.refresher.refresh(id);
    const sent = await engine.untilSent(1);
    const refreshIntent = {
      credentialRevision: 1n,
      startedAtMs: startMs,
      sends: 2,
      owner: newId(),
      attempt: newId(),
    };
    await engine.store.commit((tx) => tx.putUnannounced({ ...engine.get(id), refreshIntent }));
    sent.answer({ tokenSet: tokenSet() });
    expect(await attempted).toBe("superseded");
    expect(engine.get(id)).toMatchObject({ credentialRevision: 1n, refreshIntent });
  });
});

describe("an import that was cut off", () => {
  function recovered(owner: (own: string) => string | undefined): { resumed: string[]; clock: ManualClock } {
    const store = openStore();
    const clock = new ManualClock(nowMs);
    const resumed: string[] = [];
    const pending: PendingImport = {
      ...{ connectionId: "c1", providerId: "p1", userId: "u", label: "", scopes: [] },
      ...{ principal: { name: "owner" }, startedAtMs: nowMs, sealed: sealed("x") },
    };
    const importer = {
      resume: async (key: string) => {
        resumed.push(key);
        await store.commit((tx) => tx.deleteImport(key));
      },
      abandon: () => Promise.resolve(),
    };
    const its = owner(store.owner);
    void store
      .commit((tx) => tx.putImport("key", { ...pending, ...(its !== undefined && { owner: its }) }))
      .then(() => new ImportRecovery({ store, importer, clock, random: () => 0.5, log: silentLog }).start());
    return { resumed, clock };
  }

  test.each<[string, (own: string) => string | undefined]>([
    ["this daemon's", (own) => own],
    ["one of an older release", () => undefined],
  ])("is resumed at once when it is %s", async (_, owner) => {
    const { resumed } = recovered(owner);
    await expect.poll(() => resumed).toEqual(["key"]);
  });

  test("is left alone for ten minutes when it is another daemon's", async () => {
    const { resumed, clock } = recovered(() => newId());
    await expect.poll(() => clock.pending).toBeGreaterThan(0);
    clock.advance(10 * minuteMs - 1);
    await turns();
    expect(resumed).toEqual([]);
    clock.advance(1);
    await expect.poll(() => resumed).toEqual(["key"]);
  });
});
