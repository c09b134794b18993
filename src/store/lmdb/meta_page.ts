import { readSync } from "node:fs";

/**
 * Offsets in LMDB's data format 2 (`mdb.c` of lmdb-js 3.5, 64 bit, little endian): `MDB_page_header`,
 * `MDB_meta`.
 */
export const pageHeaderBytes = 24;
const flagsOffset = 18;
const magicOffset = 24;
const versionOffset = 28;
const pageSizeOffset = 48;
const freeTreeOffset = 48;
const mainTreeOffset = 96;
const lastPageOffset = 144;
const transactionOffset = 152;
const metaBytes = 168;

const magic = 0xbeefc0de;
const dataVersion = 2;
const metaPageFlag = 0x08;

/** Root of a tree without entries. */
export const noPage = 0xffff_ffff_ffff_ffffn;

/** A tree of pages, as the record of its database names it (`MDB_db`). */
export interface Tree {
  readonly flags: number;
  /** Levels; 0 without entries. */
  readonly depth: number;
  readonly branchPages: bigint;
  readonly leafPages: bigint;
  readonly overflowPages: bigint;
  readonly entries: bigint;
  readonly root: bigint;
}

/** Length of a tree's record. */
export const treeBytes = 48;

/** @param record of at least `treeBytes` */
export function readTree(record: Buffer): Tree {
  return {
    flags: record.readUInt16LE(4),
    depth: record.readUInt16LE(6),
    branchPages: record.readBigUInt64LE(8),
    leafPages: record.readBigUInt64LE(16),
    overflowPages: record.readBigUInt64LE(24),
    entries: record.readBigUInt64LE(32),
    root: record.readBigUInt64LE(40),
  };
}

/** What a commit leaves behind: the roots of its snapshot. */
export interface MetaPage {
  readonly pageBytes: number;
  readonly free: Tree;
  readonly main: Tree;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/** What is wrong with a meta page, as the end of a sentence about the file. */
export type MetaError = string;

/** Reads exactly `length` bytes at `position`, or undefined when the file ends before. */
export function readExactly(descriptor: number, position: number, length: number): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(descriptor, buffer, filled, length - filled, position + filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return buffer;
}

function readMetaPage(descriptor: number, position: number): MetaPage | MetaError {
  const page = readExactly(descriptor, position, metaBytes);
  if (page === undefined) return "is truncated: it ends inside its first two pages";
  if (page.readUInt32LE(magicOffset) !== magic || (page.readUInt16LE(flagsOffset) & metaPageFlag) === 0) {
    return "is not an LMDB file: its first two pages do not bear the marks of one";
  }
  const version = page.readUInt32LE(versionOffset) & 0xffff;
  if (version !== dataVersion) return `has data format ${version}, this nexusd reads format ${dataVersion}`;
  const pageBytes = page.readUInt32LE(pageSizeOffset);
  if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0) {
    return `has a damaged first page: it claims a page size of ${pageBytes} bytes`;
  }
  return {
    pageBytes,
    free: readTree(page.subarray(freeTreeOffset)),
    main: readTree(page.subarray(mainTreeOffset)),
    lastPage: page.readBigUInt64LE(lastPageOffset),
    transaction: page.readBigUInt64LE(transactionOffset),
  };
}

/** The meta page of the newest commit, chosen as LMDB chooses it. */
export function readNewestMetaPage(descriptor: number): MetaPage | MetaError {
  const first = readMetaPage(descriptor, 0);
  if (typeof first === "string") return first;
  const second = readMetaPage(descriptor, first.pageBytes);
  if (typeof second === "string") return second;
  return second.transaction > first.transaction ? second : first;
}
