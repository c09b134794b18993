/**
 * `store_reader.ts FILE`: on each message answers how much of a store that a daemon has open holds records. It reads one snapshot, and
 * closes the file before it answers, so that no page is kept for it.
 */
import { open } from "lmdb";
import { lmdbNames, type TableName, tableNames } from "../../src/store/lmdb/databases.js";

/** Bytes of whole pages; what is free within a page counts. */
export interface StoredPages {
  readonly storedBytes: number;
  /** Of these, the events and their index by connection. */
  readonly auditBytes: number;
  readonly auditEvents: number;
}

interface Stats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

const [path = ""] = process.argv.slice(2);

async function look(): Promise<StoredPages> {
  const root = open({ path, noSubdir: true, readOnly: true, maxDbs: 32, encoding: "binary" });
  try {
    const stats = new Map<TableName, Stats>(
      tableNames.map((name) => [
        name,
        root.openDB(lmdbNames[name], { encoding: "binary" }).getStats() as Stats,
      ]),
    );
    const bytesOf = (names: readonly TableName[]): number =>
      names.reduce((sum, name) => sum + pageBytes(stats.get(name)), 0);
    return {
      storedBytes: bytesOf(tableNames),
      auditBytes: bytesOf(["audit", "auditByConnection"]),
      auditEvents: stats.get("audit")?.entryCount ?? 0,
    };
  } finally {
    await root.close();
  }
}

function pageBytes(stats: Stats | undefined): number {
  if (stats === undefined) throw new Error("the store lacks a database");
  return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
}

process.on("message", () => void look().then((stored) => process.send?.(stored)));
process.once("disconnect", () => process.exit(0));
