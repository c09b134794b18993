import { closeSync, fstatSync, openSync } from "node:fs";
import { readNewestMetaPage } from "./meta_page.js";
import { PageWalk } from "./page_walk.js";
import { StoreDamaged } from "./store_error.js";

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** What is wrong with the file, as the end of a sentence about it; undefined when it is healthy. */
function findFault(descriptor: number): string | undefined {
  const { size } = fstatSync(descriptor);
  if (size === 0) return "is empty";
  const meta = readNewestMetaPage(descriptor);
  if (typeof meta === "string") return meta;
  const neededBytes = (Number(meta.lastPage) + 1) * meta.pageBytes;
  if (size >= neededBytes) return undefined;
  // The last pages of a healthy file may never have been written: taken and given back within one transaction.
  const walk = new PageWalk(descriptor, size, meta);
  if (walk.missingPagesAreFree() || walk.isComplete()) return undefined;
  return `is truncated: it has ${size} bytes, its newest commit needs ${neededBytes}`;
}

/**
 * Judges the file before LMDB maps it: LMDB ends the process with a signal on a file that is shorter than it
 * says. An absent file passes: LMDB makes it. Nobody may write to the file meanwhile.
 *
 * Finds what cuts a file short or replaces it, not a flipped bit in its middle.
 *
 * @throws StoreDamaged when LMDB must not open the file
 */
export function checkStoreFile(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    const fault = findFault(descriptor);
    if (fault === undefined) return;
    throw new StoreDamaged(
      `the store ${path} ${fault}: restore it from a backup, or move it away to start with an empty store`,
    );
  } finally {
    closeSync(descriptor);
  }
}
