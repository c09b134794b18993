import { expect, test } from "vitest";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { encodeCount, nothing } from "../../../../src/store/lmdb/databases.js";
import { ExtensionTable } from "../../../../src/store/lmdb/table.js";
import { Store } from "../../../../src/store/store.js";
import type { Transaction } from "../../../../src/store/transaction.js";
import fc from "../../../property.js";
import { aConnection, aProfile, nowMs, pending, sealed } from "../../../samples.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { beginning, entriesOf, Fleet, openReplica } from "./fleet.js";

const things = new ExtensionTable<string>("things");
const thingsDue = new ExtensionTable<[atMs: number, id: string]>("things_due");
const tables = [things, thingsDue];

const ids = ["a", "b", "c", "d"] as const;
const anyId = fc.constantFrom(...ids);
const statuses = ["pending", "active", "attention", "failed", "revoked"] as const;

/** What transactions write, by name: every database is written by one of them. */
const operations = {
  putConnection: (tx, id, n) =>
    tx.putConnection(
      aConnection({
        id,
        status: statuses[n % statuses.length] ?? "active",
        providerId: `p${n % 3}`,
        label: n % 2 === 0 ? "" : `label ${n}`,
        dueAtMs: n % 4 === 0 ? undefined : nowMs + n,
      }),
    ),
  deleteConnection: (tx, id) => tx.deleteConnection(id),
  putCredential: (tx, id, n) => tx.putCredential(id, { revision: BigInt(n), sealed: sealed(`${n % 3}`) }),
  putProvider: (tx, id, n) => tx.putProvider(aProfile({ id: `p-${id}`, name: `name ${id} ${n % 2}` })),
  deleteProvider: (tx, id) => tx.deleteProvider(`p-${id}`),
  putAuthorization: (tx, id, n) =>
    tx.putAuthorization(stateOf(id), { ...pending(id), requestedBy: `p${n % 2}` }),
  takeAuthorization: (tx, id) => void tx.takeAuthorization(stateOf(id)),
  putDiscovery: (tx, id, n) =>
    tx.putDiscovery(`https://${id}.example`, { document: `{"n":${n}}`, fetchedAtMs: n + 1 }),
  putImport: (tx, id, n) =>
    tx.putImport(stateOf(id), {
      connectionId: id,
      providerId: "p1",
      userId: "u",
      label: "",
      scopes: [],
      principal: { name: "owner" },
      startedAtMs: nowMs,
      sealed: n % 2 === 0 ? sealed(`${n}`) : undefined,
    }),
  deleteImport: (tx, id) => tx.deleteImport(stateOf(id)),
  audit: (tx, id, n) =>
    tx.appendAudit({
      timeMs: nowMs + n,
      type: "oauth_error",
      principal: `x${n}`,
      ...(n % 2 === 0 && { connectionId: id }),
    }),
  tablesOfExtensions: (tx, id, n) =>
    tx.raw((databases) => {
      const [times, due] = [things.of(databases), thingsDue.of(databases)];
      if (n % 3 === 0) {
        times.removeSync(id);
        due.removeSync([nowMs, id]);
      } else {
        times.putSync(id, encodeCount(BigInt(nowMs + n)));
        due.putSync([nowMs + (n % 2), id], nothing);
      }
    }),
  sealedCount: (tx, id, n) => tx.setSealedCount(`key ${id}`, BigInt(n % 2)),
  epoch: (tx) => tx.beginEpoch(),
  nothing: () => undefined,
} satisfies Record<string, (tx: Transaction, id: string, n: number) => void>;

function stateOf(id: string): string {
  return Buffer.from(id).toString("hex").padStart(64, "0");
}

/** An epoch is a random id. */
function withoutEpoch(entries: ReadonlyMap<string, string>): Map<string, string> {
  const storeRecord = `meta ${Buffer.from("store").toString("hex")}`;
  return new Map([...entries].filter(([place]) => place !== storeRecord));
}

const anyOperation = fc.record({
  name: fc.constantFrom(...(Object.keys(operations) as (keyof typeof operations)[])),
  id: anyId,
  n: fc.nat({ max: 50 }),
});
const anyCommit = fc.record({
  operations: fc.array(anyOperation, { minLength: 1, maxLength: 4 }),
  throws: fc.boolean(),
  awaited: fc.boolean(),
});
/** Which follower takes how much of the log, or who leads from now on. */
const anyStep = fc.oneof(
  { weight: 6, arbitrary: anyCommit.map((commit) => ({ do: "commit" as const, ...commit })) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("feed" as const), follower: fc.nat(1), upto: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("change leader" as const), to: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("copy" as const), from: fc.nat(9) }) },
);

const audit = { maxEvents: 5, maxAgeMs: 1e12 };

test("after any history leader, followers and a fresh copy hold the same bytes in every database", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 3, maxLength: 25 }), async (steps) => {
      const fleet = await Fleet.make(2, { audit, tables });
      const { log } = fleet;
      const stores = [...fleet.stores];
      const copies: ReplicaStore[] = [];
      let leader = fleet.leader;
      // The same commits in a store that is the only one.
      const folder = temporaryFolder();
      const all = leader.raw(rawEntries);
      await ReplicaStore.copyInto(folder, { entries: all, position: beginning }, tables);
      const single = Store.open({ folder, nowMs, leavesLog: true, audit, tables });
      const watched = new Map<ReplicaStore, bigint>();
      const watch = (store: ReplicaStore): void =>
        store.onCommitted((changes) => {
          for (const { revision } of changes) {
            // Positions never go back, and what is told is in the log.
            expect(revision).toBeGreaterThan(watched.get(store) ?? 0n);
            expect(log.revision).toBeGreaterThanOrEqual(revision);
            watched.set(store, revision);
          }
        });
      stores.forEach(watch);
      const open: Promise<unknown>[] = [];
      try {
        for (const step of steps) {
          if (step.do === "commit") {
            const change = (tx: Transaction): void => {
              for (const { name, id, n } of step.operations) operations[name](tx, id, n);
              if (step.throws) throw new Error("rolled back");
            };
            for (const store of [leader, single]) open.push(store.commit(change).catch(() => undefined));
            if (step.awaited) await Promise.all(open);
          } else if (step.do === "feed") {
            const follower = stores.filter((store) => store !== leader)[step.follower];
            await follower?.apply(log.after(follower.position?.position ?? 0n).slice(0, step.upto));
          } else if (step.do === "change leader") {
            await leader.follow();
            leader = stores[step.to] ?? leader;
            await leader.apply(log.after(leader.position?.position ?? 0n));
            leader.lead(log);
          } else {
            // Pages of a copy are read while others write: its position is older than what it holds, and never newer. A batch that the
            // leader has in the log may be on its way into its own store.
            const has = leader.position?.position ?? 0n;
            const from = log.after(0n).filter(({ position }) => position <= has)[step.from];
            const at = from && { position: from.position, batchId: from.id };
            const folder = temporaryFolder();
            const first = { entries: leader.raw(rawEntries), position: at ?? beginning };
            await ReplicaStore.copyInto(folder, first, tables);
            const copy = openReplica(folder, { tables });
            copies.push(copy);
          }
        }
        await Promise.all(open);
        await Promise.all(stores.map((store) => store.settled()));
        const expected = entriesOf(leader);
        expect(withoutEpoch(expected)).toEqual(withoutEpoch(entriesOf(single)));
        for (const store of [...stores, ...copies]) {
          if (store !== leader) await store.apply(log.after(store.position?.position ?? 0n));
          expect(entriesOf(store)).toEqual(expected);
          expect(store.position).toEqual(leader.position);
          expect(store.revision).toBe(leader.revision);
          expect(store.settledRevision).toBe(leader.settledRevision);
          const verdict = store.verifyAudit().step(1_000);
          expect(verdict?.violation).toBeUndefined();
        }
      } finally {
        await Promise.all([single, ...stores, ...copies].map((store) => store.close()));
      }
    }),
    { numRuns: 10 },
  );
});
