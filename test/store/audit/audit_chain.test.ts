import { join } from "node:path";
import { expect, test } from "vitest";
import type { AuditCheckpoint, AuditVerdict } from "../../../src/store/audit/audit_verification.js";
import { type Databases, encodeCount, openDatabases } from "../../../src/store/lmdb/databases.js";
import {
  chainHash,
  decodeAuditRecord,
  encodeAuditRecord,
  toAuditRecord,
} from "../../../src/store/records/audit_codec.js";
import { Store, storeFileName } from "../../../src/store/store.js";
import { nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { openStore } from "../temporary_store.js";

const connectionOf = (number: number) => `c${number % 3}`;

async function append(store: Store, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) {
    await store.commit((tx) =>
      tx.appendAudit({
        timeMs: nowMs + number,
        type: "token_refreshed",
        principal: "daemon",
        connectionId: connectionOf(number),
        reason: `number ${number}`,
      }),
    );
  }
}

function verify(store: Store, checkpoint?: AuditCheckpoint, stretch = 3): AuditVerdict {
  const verification = store.verifyAudit(checkpoint);
  for (;;) {
    const verdict = verification.step(stretch);
    if (verdict) return verdict;
  }
}

/** A log of ten events, and the verdict after somebody has edited the file. */
async function tampered(edit: (databases: Databases) => void): Promise<AuditVerdict> {
  const folder = temporaryFolder();
  const store = Store.open({ folder, nowMs });
  await append(store, 1, 10);
  await store.close();
  await editFile(folder, edit);
  return verify(openStore(folder));
}

async function editFile(folder: string, edit: (databases: Databases) => void): Promise<void> {
  const databases = openDatabases(join(folder, storeFileName));
  databases.root.transactionSync(() => edit(databases));
  await databases.root.close();
}

function alter(databases: Databases, sequence: bigint, fixesHash: boolean): void {
  const key = encodeCount(sequence);
  const record = decodeAuditRecord(databases.audit.getBinary(key) ?? Buffer.alloc(0));
  if (!record) throw new Error("no record");
  const before = decodeAuditRecord(databases.audit.getBinary(encodeCount(sequence - 1n)) ?? Buffer.alloc(0));
  const altered = { ...record, principal: "owner" };
  const hash = fixesHash ? chainHash(before?.hash ?? Buffer.alloc(32), sequence, altered) : record.hash;
  databases.audit.putSync(key, encodeAuditRecord(altered, hash));
}

test("an untouched log verifies, whatever the stretch", async () => {
  const store = openStore();
  expect(verify(store)).toMatchObject({ checked: 0n, violation: undefined });
  await append(store, 1, 10);
  for (const stretch of [1, 5, 10, 100]) {
    expect(verify(store, undefined, stretch)).toMatchObject({
      checked: 10n,
      violation: undefined,
    });
  }
});

test("the chain goes on after a restart, and several events of one commit are linked", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  await append(first, 1, 2);
  await first.close();
  const store = openStore(folder);
  await store.commit((tx) => {
    for (const type of ["connection.deleted", "revocation_given_up"] as const) {
      tx.appendAudit({ timeMs: nowMs, type, principal: "owner" });
    }
  });
  expect(verify(store)).toMatchObject({ checked: 4n, violation: undefined, head: { sequence: 4n } });
});

test.each<[string, (databases: Databases) => void, bigint, string]>([
  ["altered", (databases) => alter(databases, 4n, false), 4n, "altered"],
  [
    "altered with its hash fixed: the next one tells",
    (databases) => alter(databases, 4n, true),
    5n,
    "altered",
  ],
  ["the last altered with its hash fixed", (databases) => alter(databases, 10n, true), 10n, "head_mismatch"],
  ["removed", (databases) => void databases.audit.removeSync(encodeCount(4n)), 4n, "missing"],
  ["the first removed", (databases) => void databases.audit.removeSync(encodeCount(1n)), 1n, "missing"],
  ["the last removed", (databases) => void databases.audit.removeSync(encodeCount(10n)), 10n, "missing"],
  [
    "all removed",
    (databases) =>
      void [...databases.audit.getKeys({})].map((key) => databases.audit.removeSync(Buffer.from(key))),
    1n,
    "missing",
  ],
  [
    "one added at the end",
    ({ audit }) => {
      const record = toAuditRecord({ timeMs: nowMs, type: "token_refreshed", principal: "daemon" });
      const last = decodeAuditRecord(audit.getBinary(encodeCount(10n)) ?? Buffer.alloc(0));
      const hash = chainHash(last?.hash ?? Buffer.alloc(0), 11n, record);
      audit.putSync(encodeCount(11n), encodeAuditRecord(record, hash));
    },
    11n,
    "unexpected",
  ],
  [
    "two swapped",
    ({ audit }) => {
      const [one, other] = [encodeCount(4n), encodeCount(7n)].map((key) =>
        Buffer.from(audit.getBinary(key) ?? []),
      );
      audit.putSync(encodeCount(4n), other ?? Buffer.alloc(0));
      audit.putSync(encodeCount(7n), one ?? Buffer.alloc(0));
    },
    4n,
    "altered",
  ],
  [
    "overwritten with garbage",
    ({ audit }) => void audit.putSync(encodeCount(4n), Buffer.alloc(40, 0xff)),
    4n,
    "unreadable",
  ],
  ["the head removed", ({ meta }) => void meta.removeSync("audit_head"), 1n, "head_missing"],
  [
    "the tail and the head set back to an older copy",
    ({ audit, meta }) => {
      meta.removeSync("audit_head");
      for (const sequence of [9n, 10n]) audit.removeSync(encodeCount(sequence));
    },
    1n,
    "head_missing",
  ],
])("finds an event that was %s", async (_name, edit, sequence, reason) => {
  expect((await tampered(edit)).violation).toEqual({ sequence, reason });
});

test("a log that was cut off keeps its gap: what comes later does not close it", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  await append(first, 1, 10);
  await first.close();
  await editFile(folder, ({ audit }) => {
    for (const sequence of [9n, 10n]) audit.removeSync(encodeCount(sequence));
  });
  const store = openStore(folder);
  await append(store, 11, 12);
  expect(verify(store).violation).toEqual({ sequence: 9n, reason: "missing" });
  expect(store.listAuditEvents({ limit: 1 }).events[0]?.sequence).toBe(12n);
});

test("a checkpoint finds a file that was rewritten whole", async () => {
  const [folder, other] = [temporaryFolder(), temporaryFolder()];
  const [real, forged] = [Store.open({ folder, nowMs }), Store.open({ folder: other, nowMs })];
  await append(real, 1, 10);
  await append(forged, 2, 12);
  const noted = real.listAuditEvents({ limit: 1 }).events[0];
  const checkpoint = { sequence: noted?.sequence ?? 0n, hash: noted?.hash ?? "" };
  expect(verify(real, checkpoint).violation).toBeUndefined();
  await append(real, 11, 12);
  expect(verify(real, checkpoint).violation).toBeUndefined();
  expect(verify(forged).violation).toBeUndefined();
  expect(verify(forged, checkpoint).violation).toEqual({ sequence: 10n, reason: "checkpoint_mismatch" });
  expect(verify(real, { ...checkpoint, sequence: 13n }).violation).toEqual({
    sequence: 13n,
    reason: "missing",
  });
  await Promise.all([real.close(), forged.close()]);
});

test("a log whose head and hashes were taken away is found, and goes on after its last event", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  await append(first, 1, 5);
  await first.close();
  await editFile(folder, ({ audit, meta }) => {
    meta.removeSync("audit_head");
    for (const key of [...audit.getKeys({})]) {
      const record = decodeAuditRecord(audit.getBinary(key) ?? Buffer.alloc(0));
      if (record) audit.putSync(Buffer.from(key), encodeAuditRecord(record, new Uint8Array(0)));
    }
  });
  const store = openStore(folder);
  const violation = { sequence: 1n, reason: "head_missing" };
  expect(verify(store)).toMatchObject({ checked: 0n, violation });
  await append(store, 6, 8);
  expect(verify(store)).toMatchObject({ checked: 0n, violation });
  expect(
    store.listAuditEvents({ limit: 9, connectionId: "c1" }).events.map(({ sequence }) => sequence),
  ).toEqual([7n, 4n, 1n]);
});
