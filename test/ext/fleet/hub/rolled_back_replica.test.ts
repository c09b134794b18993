import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, test } from "vitest";
import { FleetUnreachable } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { newerTokenSets, RolledBackReplica } from "../../../../src/ext/fleet/hub/rolled_back_replica.js";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { encodeSpooled } from "../../../../src/store/records/spool_codec.js";
import { storeFileName } from "../../../../src/store/store.js";
import { Engine, hourMs, startMs, tokenSet } from "../../../domain/engine.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perTest } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const minuteMs = 60_000;
/** Where the database went back to, and where the hub was by then. */
const lost = perTest(() => new Engine());
let restored: Engine;
let id: string;

async function refreshed(engine: Engine): Promise<void> {
  expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
}

beforeEach(async () => {
  id = (await lost.connected()).id;
  const folder = temporaryFolder();
  await lost.store.copyTo(folder);
  restored = new Engine(folder);
  for (let times = 0; times < 2; times++) {
    lost.clock.advance(5 * minuteMs);
    await refreshed(lost);
  }
  restored.clock.advance(11 * minuteMs);
  return () => restored.close();
});

const found = () => [...newerTokenSets(lost.store, restored.store)];

describe("what the database lost", () => {
  it("is taken in once, as it was", async () => {
    const [entry, ...others] = found();
    if (entry === undefined) throw new Error("nothing is newer");
    expect(others).toEqual([]);
    expect(await restored.spool.importTokenSet(encodeSpooled(entry))).toBe("stored");
    expect(restored.refreshTokenOf(id)).toBe(lost.refreshTokenOf(id));
    expect(restored.get(id)).toMatchObject({
      ...{ status: "active", credentialRevision: 3n, expiresAtMs: startMs + 10 * minuteMs + hourMs },
    });
    expect(restored.events(id)[0]).toMatchObject({
      type: "token_refreshed",
      reason: "spooled",
      revision: 3n,
    });
    expect(await restored.spool.importTokenSet(encodeSpooled(entry))).toBe("known");
    expect(found()).toEqual([]);
    await refreshed(restored);
    expect(await restored.spool.importTokenSet(encodeSpooled(entry))).toBe("superseded");
    expect(restored.get(id).credentialRevision).toBe(4n);
  });

  it("is taken in though the token that the database went back to was refused meanwhile", async () => {
    await restored.store.commit((tx) =>
      tx.putConnection({ ...restored.get(id), status: "attention", refreshIntent: undefined }),
    );
    const [entry] = found();
    expect(entry && (await restored.spool.importTokenSet(encodeSpooled(entry)))).toBe("stored");
    expect(restored.get(id).status).toBe("active");
  });

  it.each<[string, () => Promise<unknown>]>([
    ["a token that was refreshed since", () => refreshed(restored)],
    ["a connection that was revoked since", () => revoke()],
    ["a connection that was deleted since", () => restored.store.commit((tx) => tx.deleteConnection(id))],
  ])("does not overwrite %s", async (_, happen) => {
    const [before] = found();
    await happen();
    expect(found()).toEqual([]);
    const kept = restored.store.getCredential(id);
    expect(before && (await restored.spool.importTokenSet(encodeSpooled(before)))).toBe("superseded");
    expect(restored.store.getCredential(id)).toEqual(kept);
  });

  it("is nothing where the copy is older, or of another store", async () => {
    expect([...newerTokenSets(restored.store, lost.store)]).toEqual([]);
    const other = new Engine();
    expect([...newerTokenSets(lost.store, other.store)]).toEqual([]);
    await other.close();
  });
});

async function revoke(): Promise<void> {
  await restored.store.commit((tx) => {
    tx.deleteCredential(id);
    tx.putConnection({ ...restored.get(id), status: "revoked" });
  });
}

async function replicaOf({ store }: Engine, folder: string): Promise<void> {
  const position = { position: 7n, batchId: "5f0f3d0a-6f43-4f4e-9a59-0c8a3d4f9b11" };
  await ReplicaStore.copyInto(folder, { entries: store.raw(rawEntries), position });
}

test("a copy is kept aside until the database has what is newer", async () => {
  const folder = temporaryFolder();
  await replicaOf(lost, folder);
  const copy = new RolledBackReplica({ folder, clock: new ManualClock(startMs), log: silentLog });
  copy.keep();
  expect(existsSync(join(folder, storeFileName))).toBe(false);
  await replicaOf(restored, folder);
  const store = ReplicaStore.open({ folder, nowMs: startMs });
  const left: Uint8Array[] = [];
  const away = { leave: () => Promise.reject(new FleetUnreachable("away")) };
  const there = { leave: async (sets: readonly Uint8Array[]) => void left.push(...sets) };
  try {
    await expect(copy.drainOutbox(store, away)).rejects.toThrow(FleetUnreachable);
    await copy.drainOutbox(store, there);
    expect(left).toHaveLength(1);
    await copy.drainOutbox(store, there);
    expect(left).toHaveLength(1);
    expect(existsSync(join(folder, "undone"))).toBe(false);
  } finally {
    await store.close();
  }
});

test("a copy that cannot be read is kept, and keeps no hub from starting", async () => {
  const folder = temporaryFolder();
  const undone = join(folder, "undone");
  mkdirSync(undone, { mode: 0o700 });
  writeFileSync(join(undone, storeFileName), "no store", { mode: 0o600 });
  const copy = new RolledBackReplica({ folder, clock: new ManualClock(startMs), log: silentLog });
  await copy.drainOutbox(restored.store, { leave: () => Promise.reject(new Error("nothing is left")) });
  expect(readFileSync(join(undone, storeFileName), "utf8")).toBe("no store");
});
