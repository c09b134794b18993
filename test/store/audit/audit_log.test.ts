import { expect, test } from "vitest";
import type { AuditEvent } from "../../../src/model/access/audit_event.js";
import { Store } from "../../../src/store/store.js";
import { nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { openStore } from "../temporary_store.js";

const hourMs = 3_600_000;

function event(number: number, change: Partial<AuditEvent> = {}): AuditEvent {
  return { timeMs: nowMs + number, type: "token_refreshed", principal: "daemon", ...change };
}

function openWith(folder: string, audit: { maxEvents: number; maxAgeMs: number }): Store {
  return Store.open({ folder, nowMs, audit });
}

const sequences = (store: Store, page: Partial<Parameters<Store["listAuditEvents"]>[0]> = {}) =>
  store.listAuditEvents({ limit: 1000, ...page }).events.map(({ sequence }) => Number(sequence));

const violationOf = (store: Store) => store.verifyAudit().step(100_000)?.violation;

test("the oldest events go when there are too many, and the rest verifies", async () => {
  const folder = temporaryFolder();
  const store = openWith(folder, { maxEvents: 5, maxAgeMs: hourMs });
  for (let number = 1; number <= 12; number++) await store.commit((tx) => tx.appendAudit(event(number)));
  expect(sequences(store)).toEqual([12, 11, 10, 9, 8]);
  expect(store.verifyAudit().step(100)).toMatchObject({
    checked: 5n,
    violation: undefined,
    head: { anchorSequence: 7n },
  });
  await store.close();
});

test("events older than the limit go, the newest never", async () => {
  const folder = temporaryFolder();
  const store = openWith(folder, { maxEvents: 100, maxAgeMs: hourMs });
  for (const timeMs of [nowMs, nowMs + 1, nowMs + 2 * hourMs]) {
    await store.commit((tx) => tx.appendAudit(event(0, { timeMs })));
  }
  expect(sequences(store)).toEqual([3]);
  await store.commit((tx) => tx.appendAudit(event(0, { timeMs: nowMs + 9 * hourMs })));
  expect(sequences(store)).toEqual([4]);
  expect(violationOf(store)).toBeUndefined();
  await store.close();
});

test("a limit that was lowered is reached step by step, with the index", async () => {
  const folder = temporaryFolder();
  const wide = openWith(folder, { maxEvents: 1000, maxAgeMs: hourMs });
  await wide.commit((tx) => {
    for (let number = 1; number <= 300; number++) tx.appendAudit(event(number, { connectionId: "c1" }));
  });
  await wide.close();
  const narrow = openWith(folder, { maxEvents: 10, maxAgeMs: hourMs });
  const counts: number[] = [];
  for (let number = 0; number < 6; number++) {
    await narrow.commit((tx) => tx.appendAudit(event(number, { connectionId: "c1" })));
    counts.push(sequences(narrow).length);
    expect(violationOf(narrow)).toBeUndefined();
    expect(sequences(narrow, { connectionId: "c1" })).toEqual(sequences(narrow));
  }
  expect(counts).toEqual([237, 174, 111, 48, 10, 10]);
  await narrow.close();
});

test("finds what an agent did in a time, without what the daemon does by itself", async () => {
  const store = openStore();
  const events: readonly Partial<AuditEvent>[] = [
    { principal: "key:claude" },
    { principal: "key:claude.github.5f0c1a" },
    { principal: "key:claudette" },
    { principal: "daemon" },
    { principal: "daemon", agent: "key:claude.github.5f0c1a" },
    { principal: "owner", agent: "key:claude" },
    { principal: "owner" },
  ];
  await store.commit((tx) => {
    for (const [number, change] of events.entries()) tx.appendAudit(event(number + 1, change));
  });
  expect(sequences(store, { agent: "key:claude" })).toEqual([6, 5, 2, 1]);
  expect(sequences(store, { agent: "key:claude.github.5f0c1a" })).toEqual([]);
  expect(sequences(store, { withoutDaemon: true })).toEqual([7, 6, 5, 3, 2, 1]);
  expect(sequences(store, { untilMs: nowMs + 6, sinceMs: nowMs + 3 })).toEqual([5, 4, 3]);
  await store.close();
});

test("filters, and goes on where a page ended", async () => {
  const store = openStore();
  await store.commit((tx) => {
    for (let number = 1; number <= 20; number++) {
      const type = number % 4 === 0 ? "oauth_error" : "token_refreshed";
      tx.appendAudit(event(number, { type, ...(number % 2 === 0 && { connectionId: `c${number % 3}` }) }));
    }
  });
  expect(sequences(store, { connectionId: "c0" })).toEqual([18, 12, 6]);
  expect(sequences(store, { connectionId: "c0", type: "oauth_error" })).toEqual([12]);
  expect(sequences(store, { connectionId: "c" })).toEqual([]);
  expect(sequences(store, { sinceMs: nowMs + 18 })).toEqual([20, 19, 18]);
  const first = store.listAuditEvents({ limit: 2, connectionId: "c0" });
  expect(first.nextBefore).toBe(12n);
  expect(sequences(store, { connectionId: "c0", beforeSequence: first.nextBefore })).toEqual([6]);
  expect(store.listAuditEvents({ limit: 5, beforeSequence: 3n }).nextBefore).toBeUndefined();
});

test("a page looks at a bounded number of events, and a connection's page at its own only", async () => {
  const store = openStore();
  await store.commit((tx) => {
    tx.appendAudit(event(0, { type: "oauth_error", connectionId: "rare" }));
    for (let number = 1; number <= 12_000; number++) tx.appendAudit(event(number, { connectionId: "busy" }));
  });
  const pages: number[] = [];
  let beforeSequence: bigint | undefined;
  do {
    const page = store.listAuditEvents({ limit: 10, type: "oauth_error", beforeSequence });
    pages.push(page.events.length);
    beforeSequence = page.nextBefore;
  } while (beforeSequence !== undefined);
  expect(pages).toEqual([0, 0, 1]);
  expect(store.listAuditEvents({ limit: 10, connectionId: "rare" })).toMatchObject({
    events: [{ sequence: 1n }],
    nextBefore: undefined,
  });
});

test("what a throwing commit has appended is gone with its change", async () => {
  const store = openStore();
  await store.commit((tx) => tx.appendAudit(event(1)));
  await expect(
    store.commit((tx) => {
      tx.appendAudit(event(2));
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  await store.commit((tx) => tx.appendAudit(event(3)));
  expect(sequences(store)).toEqual([2, 1]);
  expect(violationOf(store)).toBeUndefined();
});
