import { type MetaPage, noPage, pageHeaderBytes, readExactly } from "./meta_page.js";

const pageFlagsOffset = 18;
const pageLowerOffset = 20;
const branchFlag = 0x01;
const leafFlag = 0x02;
const bigDataFlag = 0x01;
const subDatabaseFlag = 0x02;
const nodeHeaderBytes = 8;
const databaseRootOffset = 40;

const maxTreeDepth = 64;
/** A healthy file never lacks more pages; the bound keeps a damaged free list from filling memory. */
const maxListedPages = 1_000_000;

/** A page that the snapshot refers to is not in the file, or is not what it should be. */
class PageMissing extends Error {}

/** Walks the trees of one snapshot of an LMDB file, page by page. */
export class PageWalk {
  readonly #filePages: bigint;

  /** @param fileBytes length of the file */
  constructor(
    private readonly descriptor: number,
    fileBytes: number,
    private readonly meta: MetaPage,
  ) {
    this.#filePages = BigInt(Math.floor(fileBytes / meta.pageBytes));
  }

  /** Whether every page past the end of the file is listed as free, so that nothing refers to it. */
  missingPagesAreFree(): boolean {
    const free = new Set<bigint>();
    const complete = this.#visitAll(this.meta.freeRoot, (_flags, data) =>
      collectFreePages(data, this.#filePages, this.meta.lastPage, free),
    );
    return complete && BigInt(free.size) > this.meta.lastPage - this.#filePages;
  }

  /** Whether the file holds every page that the snapshot refers to. Reads all of them. */
  isComplete(): boolean {
    const nothing = (): void => undefined;
    return (
      this.#visitAll(this.meta.freeRoot, nothing) &&
      this.#visitAll(this.meta.mainRoot, (flags, data) => {
        if ((flags & subDatabaseFlag) === 0) return;
        this.#walk(data.readBigUInt64LE(databaseRootOffset), 0, nothing);
      })
    );
  }

  #visitAll(root: bigint, visit: (flags: number, data: Buffer) => void): boolean {
    try {
      this.#walk(root, 0, visit);
      return true;
    } catch (error) {
      // Offsets on a page that was overwritten point outside of it.
      if (error instanceof PageMissing || error instanceof RangeError) return false;
      throw error;
    }
  }

  #walk(root: bigint, depth: number, visit: (flags: number, data: Buffer) => void): void {
    if (root === noPage) return;
    const page = this.#read(root, 1);
    const pageFlags = page.readUInt16LE(pageFlagsOffset);
    const count = page.readUInt16LE(pageLowerOffset) >> 1;
    if (depth > maxTreeDepth || (pageFlags & (branchFlag | leafFlag)) === 0) throw new PageMissing();
    for (let index = 0; index < count; index++) {
      const node = pageHeaderBytes + page.readUInt16LE(pageHeaderBytes + index * 2);
      const sizeOrPage = page.readUInt32LE(node);
      const nodeFlags = page.readUInt16LE(node + 4);
      if ((pageFlags & branchFlag) !== 0) {
        this.#walk(BigInt(sizeOrPage) | (BigInt(nodeFlags) << 32n), depth + 1, visit);
        continue;
      }
      const dataStart = node + nodeHeaderBytes + page.readUInt16LE(node + 6);
      if ((nodeFlags & bigDataFlag) === 0) {
        visit(nodeFlags, page.subarray(dataStart, dataStart + sizeOrPage));
        continue;
      }
      const pages = Math.ceil((pageHeaderBytes + sizeOrPage) / this.meta.pageBytes);
      const overflow = this.#read(page.readBigUInt64LE(dataStart), pages);
      visit(nodeFlags, overflow.subarray(pageHeaderBytes, pageHeaderBytes + sizeOrPage));
    }
  }

  #read(page: bigint, count: number): Buffer {
    if (page + BigInt(count) > this.#filePages) throw new PageMissing();
    const { pageBytes } = this.meta;
    const bytes = readExactly(this.descriptor, Number(page) * pageBytes, count * pageBytes);
    if (bytes === undefined || bytes.readBigUInt64LE(0) !== page) throw new PageMissing();
    return bytes;
  }
}

/**
 * Page numbers between `from` and `to` in a record of the free list (`mdb_midl_print` of lmdb-js). It has a count, then entries. A positive
 * number is a page, and 0 is a gap. A negative number is the length of a run that starts at the page in the next entry.
 */
function collectFreePages(record: Buffer, from: bigint, to: bigint, pages: Set<bigint>): void {
  const count = Math.min(Number(record.readBigInt64LE(0)), (record.length >> 3) - 1);
  for (let index = 1; index <= count; index++) {
    let entry = record.readBigInt64LE(index * 8);
    if (entry === 0n) continue;
    let run = 1n;
    if (entry < 0n) {
      if (++index > count) return;
      run = -entry;
      entry = record.readBigInt64LE(index * 8);
    }
    const end = entry + run <= to ? entry + run : to + 1n;
    for (let page = entry > from ? entry : from; page < end && pages.size < maxListedPages; page++)
      pages.add(page);
  }
}
