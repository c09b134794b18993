import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Databases,
  type ExtensionTable,
  openDatabases,
  openRawTables,
  syncFolder,
} from "../../../store/store.js";
import type { RawWrite, ReplicaPosition } from "./log.js";
import { isLocal, putRaw, writePosition } from "./replica.js";

/** Entries read at a time. */
const page = 1_000;

/**
 * Everything that is shared, database by database, in the order of the keys. Each page is one snapshot; what is committed between two of
 * them may be seen or not.
 */
export function* rawEntries(databases: Databases): Generator<RawWrite[]> {
  for (const [database, table] of openRawTables(databases)) {
    let after: Buffer | undefined;
    for (;;) {
      const start = after === undefined ? {} : { start: after, exclusiveStart: true };
      const entries = Array.from(table.getRange({ ...start, limit: page }), ({ key, value }) => ({
        database,
        key: Buffer.from(key),
        value: new Uint8Array(value),
      }));
      const shared = entries.filter((entry) => !isLocal(entry));
      if (shared.length > 0) yield shared;
      after = entries.at(-1)?.key;
      if (entries.length < page) break;
    }
  }
}

/** What a replica begins with. */
export interface CopiedEntries {
  readonly entries: AsyncIterable<readonly RawWrite[]> | Iterable<readonly RawWrite[]>;
  /** A batch whose writes are all in the entries; those of later ones may be. */
  readonly position: ReplicaPosition;
}

/** Makes the file at `path`, replacing what is there: as a whole, or not at all. Nobody has it open. */
export async function writeCopy(
  folder: string,
  fileName: string,
  copy: CopiedEntries,
  tables: readonly ExtensionTable[],
): Promise<void> {
  const path = join(folder, fileName);
  const unfinished = `${path}.copy`;
  removeFile(unfinished);
  const databases = openDatabases(unfinished, tables);
  try {
    const raw = openRawTables(databases);
    for await (const writes of copy.entries) {
      await databases.root.childTransaction(() => putRaw(raw, writes));
    }
    await databases.root.childTransaction(() => writePosition(databases, copy.position));
  } catch (error) {
    await databases.root.close();
    removeFile(unfinished);
    throw error;
  }
  await databases.root.close();
  renameSync(unfinished, path);
  rmSync(`${unfinished}-lock`, { force: true });
  syncFolder(folder);
}

function removeFile(path: string): void {
  for (const file of [path, `${path}-lock`]) rmSync(file, { force: true });
}
