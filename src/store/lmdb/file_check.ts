import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readNewestMetaPage } from "./meta_page.js";
import { PageWalk } from "./page_walk.js";
import { damaged } from "./store_error.js";

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Behind the name of the file while LMDB has it open. */
export const openMarkSuffix = "-open";
/** What stands in the mark, for a person who finds it. */
const openMarkText =
  "The store beside this file is open, or was not closed. The next start checks all of its pages.\n";
/** A file of this length, of some 5 000 connections, is walked in a tenth of a second: so it always is. */
const alwaysWalkedBytes = 16 * 1024 * 1024;

const otherShape = "is no regular file";

/** What is wrong with the file, as the end of a sentence about it; undefined when it is healthy. */
function findViolation(descriptor: number, wasLeftOpen: boolean): string | undefined {
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) return otherShape;
  const { size } = stat;
  if (size === 0) return "is empty";
  const meta = readNewestMetaPage(descriptor);
  if (typeof meta === "string") return meta;
  const neededBytes = (Number(meta.lastPage) + 1) * meta.pageBytes;
  const isCut = size < neededBytes;
  if (!isCut && !wasLeftOpen && size > alwaysWalkedBytes) return undefined;
  // The last pages of a healthy file may never have been written: taken and given back within one transaction.
  const violation = new PageWalk(descriptor, size, meta).findViolation();
  if (violation === undefined || !isCut) return violation;
  return `is truncated: it has ${size} bytes, its newest commit needs ${neededBytes}`;
}

/**
 * Judges the file before LMDB maps it: LMDB ends the process with a signal on a file that is shorter than it says, and on most damaged
 * pages. An absent file passes: LMDB makes it. Nobody may write to the file meanwhile.
 *
 * All pages are read if the file is small, or was not closed: the process, the machine or the disk failed. What lies in the records is
 * not judged here: each is sealed, or read with care.
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
    const violation = findViolation(descriptor, isMarkedOpen(path));
    if (violation !== undefined) throw damaged(path, violation);
  } finally {
    closeSync(descriptor);
  }
}

/** LMDB is about to open the file: until `markClosed`, whoever finds the mark reads all pages. Durable once the folder is synced. */
export function markOpen(path: string): void {
  writeFileSync(markOf(path), openMarkText, { mode: 0o600 });
}

/** Whether LMDB has the file open, or did not close it. */
export function isMarkedOpen(path: string): boolean {
  return existsSync(markOf(path));
}

/** LMDB has closed the file, and all that it wrote is there. */
export function markClosed(path: string): void {
  rmSync(markOf(path), { force: true });
}

function markOf(path: string): string {
  return `${path}${openMarkSuffix}`;
}
