import {
  type MetaPage,
  noPage,
  pageHeaderBytes,
  readExactly,
  readTree,
  type Tree,
  treeBytes,
} from "./meta_page.js";

const pageTransactionOffset = 8;
const pageFlagsOffset = 18;
const pageLowerOffset = 20;
const pageUpperOffset = 22;
const overflowCountOffset = 20;
const branchFlag = 0x01;
const leafFlag = 0x02;
const overflowFlag = 0x04;
const bigDataFlag = 0x01;
const subDatabaseFlag = 0x02;
const nodeHeaderBytes = 8;
/** Of a database with several values for a key, which the store has none of. */
const duplicatesFlag = 0x04;
const transactionBytes = 8;

/** LMDB's own limit (`CURSOR_STACK`). */
const maxTreeDepth = 32;
/** Below it are the meta pages. */
const firstPage = 2;

type Visit = (flags: number, key: Buffer, data: () => Buffer) => void;

/** A page that the snapshot refers to is not in the file, or is not what it should be. */
class PageWrong extends Error {}

/**
 * Walks the trees of one snapshot of an LMDB file, page by page, and judges what LMDB takes for granted. LMDB ends the process with a
 * signal where it does not hold.
 */
export class PageWalk {
  readonly #filePages: number;
  /** A bit for each page: whether a tree or the list of free pages has it. */
  readonly #taken: Uint8Array;
  #branchPages = 0n;
  #leafPages = 0n;
  #overflowPages = 0n;
  #entries = 0n;

  /** @param fileBytes length of the file */
  constructor(
    private readonly descriptor: number,
    fileBytes: number,
    private readonly meta: MetaPage,
  ) {
    this.#filePages = Math.floor(fileBytes / meta.pageBytes);
    this.#taken = new Uint8Array((this.#filePages >> 3) + 1);
  }

  /** What is wrong with the snapshot, as the end of a sentence about the file; undefined when it is whole. Reads all of its pages. */
  findViolation(): string | undefined {
    const { free, main } = this.meta;
    const listed: Buffer[] = [];
    try {
      this.#walkTree(main, (flags, _, data) => {
        if ((flags & subDatabaseFlag) === 0) return;
        const record = data();
        if (record.length < treeBytes) throw new PageWrong("has a database without a record");
        this.#nested(() => this.#walkTree(readTree(record), refuseSubDatabase));
      });
      this.#walkTree(free, (_, key, data) => {
        if (key.length !== transactionBytes) throw new PageWrong("has a damaged list of free pages");
        listed.push(Buffer.from(data()));
      });
      for (const record of listed) this.#takeFree(record);
      return undefined;
    } catch (error) {
      if (error instanceof PageWrong) return error.message;
      // Offsets on a page that was overwritten point outside of it.
      if (error instanceof RangeError) return "has a page that is damaged";
      throw error;
    }
  }

  /** A tree within a tree is counted for itself. */
  #nested(walk: () => void): void {
    const counts = [this.#branchPages, this.#leafPages, this.#overflowPages, this.#entries] as const;
    walk();
    [this.#branchPages, this.#leafPages, this.#overflowPages, this.#entries] = counts;
  }

  #walkTree(tree: Tree, visit: Visit): void {
    this.#branchPages = 0n;
    this.#leafPages = 0n;
    this.#overflowPages = 0n;
    this.#entries = 0n;
    if ((tree.flags & duplicatesFlag) !== 0 || tree.depth > maxTreeDepth)
      throw new PageWrong("has a database whose record is damaged");
    if (tree.root !== noPage) this.#walk(tree.root, tree.depth, visit);
    const found = [this.#branchPages, this.#leafPages, this.#overflowPages, this.#entries];
    const said = [tree.branchPages, tree.leafPages, tree.overflowPages, tree.entries];
    if (found.some((count, index) => count !== said[index]))
      throw new PageWrong("has a database whose record does not fit its pages");
  }

  /** @param depth levels from this page down */
  #walk(root: bigint, depth: number, visit: Visit): void {
    const isLeaf = depth === 1;
    const page = this.#read(root, isLeaf ? leafFlag : branchFlag);
    const offsets = this.#nodesOf(page, root, isLeaf ? 1 : 2);
    if (isLeaf) this.#leafPages++;
    else this.#branchPages++;
    for (const node of offsets) {
      const sizeOrPage = page.readUInt32LE(node);
      const nodeFlags = page.readUInt16LE(node + 4);
      const keyEnd = node + nodeHeaderBytes + page.readUInt16LE(node + 6);
      if (!isLeaf) {
        if (keyEnd > page.length) throw damaged(root);
        this.#walk(BigInt(sizeOrPage) | (BigInt(nodeFlags) << 32n), depth - 1, visit);
        continue;
      }
      this.#entries++;
      const isBig = (nodeFlags & bigDataFlag) !== 0;
      const dataEnd = keyEnd + (isBig ? 8 : sizeOrPage);
      if (dataEnd > page.length || (nodeFlags & ~(bigDataFlag | subDatabaseFlag)) !== 0) throw damaged(root);
      const key = page.subarray(node + nodeHeaderBytes, keyEnd);
      const overflow = isBig ? this.#takeOverflow(page.readBigUInt64LE(keyEnd), sizeOrPage) : undefined;
      visit(nodeFlags, key, overflow ?? (() => page.subarray(keyEnd, dataEnd)));
    }
  }

  /** Where the nodes of a page begin. */
  #nodesOf(page: Buffer, number: bigint, least: number): number[] {
    const lower = page.readUInt16LE(pageLowerOffset);
    const upper = page.readUInt16LE(pageUpperOffset);
    const count = lower >> 1;
    if (lower % 2 !== 0 || lower > upper || pageHeaderBytes + upper > page.length || count < least)
      throw damaged(number);
    return Array.from({ length: count }, (_, index) => {
      const offset = page.readUInt16LE(pageHeaderBytes + index * 2);
      if (offset < upper || offset % 2 !== 0) throw damaged(number);
      return pageHeaderBytes + offset;
    });
  }

  /** Pages in a row, of which a value that became shorter needs the first alone. @returns the value */
  #takeOverflow(first: bigint, length: number): () => Buffer {
    const { pageBytes, lastPage } = this.meta;
    const pages = this.#read(first, overflowFlag).readUInt32LE(overflowCountOffset);
    if (pages * pageBytes < pageHeaderBytes + length || first + BigInt(pages - 1) > lastPage)
      throw damaged(first);
    if (Number(first) + pages > this.#filePages) throw pagesLacking();
    this.#take(first + 1n, pages - 1);
    this.#overflowPages += BigInt(pages);
    return () => this.#bytes(first, pageHeaderBytes + length).subarray(pageHeaderBytes);
  }

  /** @param kind the one flag that the page has */
  #read(page: bigint, kind: number): Buffer {
    const { pageBytes, lastPage, transaction } = this.meta;
    if (page >= this.#filePages) throw pagesLacking();
    this.#take(page, 1);
    const bytes = this.#bytes(page, pageBytes);
    const isOfSnapshot = page <= lastPage && bytes.readBigUInt64LE(pageTransactionOffset) <= transaction;
    // One that claims to be written by a later commit, or to be in memory, would be written to in place.
    if (!isOfSnapshot || bytes.readBigUInt64LE(0) !== page || bytes.readUInt16LE(pageFlagsOffset) !== kind)
      throw damaged(page);
    return bytes;
  }

  #bytes(page: bigint, length: number): Buffer {
    const bytes = readExactly(this.descriptor, Number(page) * this.meta.pageBytes, length);
    if (bytes === undefined) throw pagesLacking();
    return bytes;
  }

  /** Each page has one use. */
  #take(page: bigint, count: number): void {
    const first = Number(page);
    if (first < firstPage) throw damaged(page);
    for (let at = first; at < first + count; at++) {
      const bit = 1 << (at & 7);
      const before = this.#taken[at >> 3] ?? 0;
      if ((before & bit) !== 0) throw new PageWrong(`uses page ${at} twice`);
      this.#taken[at >> 3] = before | bit;
    }
  }

  /**
   * Takes the pages of a record of the free list (`mdb_midl_print` of lmdb-js). It has a count, then entries. A positive number is a page,
   * and 0 is a gap. A negative number is the length of a run that starts at the page in the next entry. Pages past the end of the file,
   * which were taken and given back within one transaction, may be listed.
   */
  #takeFree(record: Buffer): void {
    const count = Number(record.readBigInt64LE(0));
    if (count < 0 || count > (record.length >> 3) - 1)
      throw new PageWrong("has a damaged list of free pages");
    for (let index = 1; index <= count; index++) {
      let page = record.readBigInt64LE(index * 8);
      if (page === 0n) continue;
      let run = 1n;
      if (page < 0n) {
        run = -page;
        page = ++index <= count ? record.readBigInt64LE(index * 8) : 0n;
      }
      if (page < firstPage || page + run - 1n > this.meta.lastPage)
        throw new PageWrong("has a damaged list of free pages");
      const inFile = BigInt(this.#filePages) - page;
      if (inFile > 0n) this.#take(page, Number(run < inFile ? run : inFile));
    }
  }
}

function refuseSubDatabase(flags: number): void {
  if ((flags & subDatabaseFlag) !== 0) throw new PageWrong("has a database whose record is damaged");
}

function pagesLacking(): PageWrong {
  return new PageWrong("lacks pages that its newest commit needs");
}

function damaged(page: bigint): PageWrong {
  return new PageWrong(`has a damaged page (${page})`);
}
