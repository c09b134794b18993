import { closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { readNewestMetaPage } from "./meta_page.js";
import { PageWalk } from "./page_walk.js";
import { StoreDamaged } from "./store_error.js";

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

const otherShape = "is no regular file";

/** What is wrong with the file, as the end of a sentence about it; undefined when it is healthy. */
function findViolation(descriptor: number): string | undefined {
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) return otherShape;
  const { size } = stat;
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

function damaged(path: string, violation: string): StoreDamaged {
  return new StoreDamaged(
    `the store ${path} ${violation}: restore it from a backup, or move it away to start with an empty store`,
  );
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
    // Without O_NONBLOCK a FIFO would be waited for until somebody writes to it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, "ENOENT") && !lstatSync(path, { throwIfNoEntry: false })) return;
    // A link to nowhere or to itself, or a socket.
    if (["ENOENT", "ELOOP", "ENXIO"].some((code) => hasCode(error, code))) throw damaged(path, otherShape);
    throw error;
  }
  try {
    const violation = findViolation(descriptor);
    if (violation !== undefined) throw damaged(path, violation);
  } finally {
    closeSync(descriptor);
  }
}
