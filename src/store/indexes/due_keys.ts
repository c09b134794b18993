import type { Table } from "../lmdb/table.js";

/** Whose turn it is, when, and what is due. */
export type DueKey = [group: string, atMs: number, subject: string];

/** Of each group what is due first. @param limit of each, so that none hides another's */
export function firstOfEach(table: Table<DueKey>, limit: number): DueKey[] {
  const keys: DueKey[] = [];
  let [next] = table.getKeys({ start: [""], limit: 1 });
  while (next) {
    const end: DueKey = [next[0], Number.MAX_SAFE_INTEGER, ""];
    for (const key of table.getKeys({ start: next, end, limit })) keys.push(key);
    [next] = table.getKeys({ start: end, limit: 1 });
  }
  return keys;
}
