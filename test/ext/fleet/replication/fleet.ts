import { onTestFinished } from "vitest";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { Store, type StoreOptions } from "../../../../src/store/store.js";
import { nowMs } from "../../../samples.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { MemoryLog } from "../memory_log.js";

/** Before the first batch. */
export const beginning = { position: 0n, batchId: "" };

/** A folder with a replica that has an empty store and nothing of the log. */
export async function replicaFolder(from?: Store): Promise<string> {
  const folder = temporaryFolder();
  const first = from ?? Store.open({ folder: temporaryFolder(), nowMs });
  await ReplicaStore.copyInto(folder, {
    entries: first.raw(rawEntries),
    position: from instanceof ReplicaStore ? from.position : beginning,
  });
  if (!from) await first.close();
  return folder;
}

/** Follows; closed when the test ends. */
export function openReplica(folder: string, options: Partial<StoreOptions> = {}): ReplicaStore {
  const store = ReplicaStore.open({ folder, nowMs, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Stores of one log: the first leads. */
export class Fleet {
  readonly log = new MemoryLog();

  private constructor(readonly stores: readonly ReplicaStore[]) {}

  static async make(followers = 1, options: Partial<StoreOptions> = {}): Promise<Fleet> {
    const first = Store.open({ folder: temporaryFolder(), nowMs });
    const folders = Array.from({ length: followers + 1 }, () => temporaryFolder());
    for (const folder of folders)
      await ReplicaStore.copyInto(folder, { entries: first.raw(rawEntries), position: beginning });
    await first.close();
    const fleet = new Fleet(folders.map((folder) => openReplica(folder, options)));
    fleet.leader.lead(fleet.log);
    return fleet;
  }

  get leader(): ReplicaStore {
    return this.stores[0] as ReplicaStore;
  }

  get followers(): readonly ReplicaStore[] {
    return this.stores.slice(1);
  }

  /** Every follower takes what the log has. */
  async feed(): Promise<void> {
    for (const store of this.followers) await store.apply(this.log.after(store.position?.position ?? 0n));
  }
}

/** All that is shared, in a form that can be compared and printed. */
export function entriesOf(store: Store): Map<string, string> {
  const entries = new Map<string, string>();
  for (const page of store.raw(rawEntries)) {
    for (const { database, key, value } of page) {
      entries.set(
        `${database} ${Buffer.from(key).toString("hex")}`,
        Buffer.from(value ?? "").toString("hex"),
      );
    }
  }
  return entries;
}
