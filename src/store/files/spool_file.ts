import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { SpooledTokenSet } from "../../model/connections/spooled_token_set.js";
import { decodeSpooled, encodeSpooled } from "../records/spool_codec.js";
import { syncFolder } from "./sync_folder.js";

/** Name of the file in the data folder. */
export const spoolFileName = "spool.bin";

/** Room for each of the 128 requests that can be under way with an answer of 8 KiB. */
export const spoolFileBytes = 1024 * 1024;

const magic = Buffer.from("nxr1");
const digestBytes = 32;
/** Magic, length of the record, digest. */
const headerBytes = magic.length + 4 + digestBytes;

/** What the file holds. */
export interface SpoolContent {
  readonly entries: readonly SpooledTokenSet[];
  /** Whether there is something behind them, or among them, that cannot be read: a write that was cut off, or damage. */
  readonly damaged: boolean;
}

/**
 * Where token sets go when the store cannot be written any more and the process must end. Its blocks are allocated beforehand, by
 * writing and syncing them, and are overwritten in place: a full disk does not keep it from being written. (File systems that copy on
 * write, such as btrfs and ZFS, take new blocks anyway and cannot promise it.) An entry counts when its digest fits, so that
 * one that was cut off is seen; entries are sealed, and nothing of them is secret.
 */
export class SpoolFile {
  /** Why its blocks could not be allocated; it can be read, and written where there is room by then. */
  readonly violation: unknown;
  readonly #descriptor: number;
  readonly #bytes: number;
  #end = 0;

  private constructor(descriptor: number, folder: string) {
    this.#descriptor = descriptor;
    fchmodSync(descriptor, 0o600);
    const { size, blocks } = fstatSync(descriptor);
    this.#bytes = Math.max(size, spoolFileBytes);
    if (blocks * 512 >= this.#bytes) return;
    try {
      this.#write(this.#readAll(), 0);
      syncFolder(folder);
    } catch (error) {
      this.violation = error;
    }
  }

  /** @throws Error when it cannot be opened */
  static open(folder: string): SpoolFile {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const descriptor = openSync(join(folder, spoolFileName), flags, 0o600);
    try {
      return new SpoolFile(descriptor, folder);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** What is there; what is appended afterwards goes behind it. */
  read(): SpoolContent {
    const content = this.#readAll();
    const entries: SpooledTokenSet[] = [];
    let damaged = false;
    this.#end = 0;
    for (;;) {
      const record = recordAt(content, this.#end);
      if (record === undefined) break;
      this.#end += headerBytes + record.length;
      try {
        entries.push(decodeSpooled(record));
      } catch {
        damaged = true;
      }
    }
    const next = content.subarray(this.#end, this.#end + headerBytes);
    return { entries, damaged: damaged || !isBlank(next) };
  }

  /**
   * On disk when it returns, behind what is there. All or none of them.
   *
   * @throws RangeError when there is no room, Error when the write fails
   */
  append(entries: readonly SpooledTokenSet[]): void {
    const content = Buffer.concat(entries.flatMap((entry) => framed(encodeSpooled(entry))));
    if (this.#end + content.length > this.#bytes) throw new RangeError("the spool file is full");
    this.#write(content, this.#end);
    this.#end += content.length;
  }

  /** Leaves zeros. @throws Error when the write fails */
  clear(): void {
    this.#end = 0;
    if (!isBlank(this.#readAll())) this.#write(Buffer.alloc(this.#bytes), 0);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** As long as the file is meant to be: what is missing is zeros. */
  #readAll(): Buffer {
    const content = Buffer.alloc(this.#bytes);
    for (let at = 0; at < content.length; ) {
      const count = readSync(this.#descriptor, content, at, content.length - at, at);
      if (count === 0) break;
      at += count;
    }
    return content;
  }

  #write(content: Buffer, position: number): void {
    for (let at = 0; at < content.length; ) {
      at += writeSync(this.#descriptor, content, at, content.length - at, position + at);
    }
    fsyncSync(this.#descriptor);
  }
}

/** Compared as a whole: byte by byte a megabyte takes as long as opening the store. */
function isBlank(content: Buffer): boolean {
  return content.equals(Buffer.alloc(content.length));
}

function digestOf(record: Uint8Array, length: Uint8Array): Buffer {
  return createHash("sha256").update(magic).update(length).update(record).digest();
}

function framed(record: Uint8Array): Uint8Array[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(record.length);
  return [magic, length, digestOf(record, length), record];
}

/** The record behind the header at `offset`; undefined where there is none, or it is not whole. */
function recordAt(content: Buffer, offset: number): Buffer | undefined {
  const start = offset + headerBytes;
  if (start > content.length || !content.subarray(offset).subarray(0, magic.length).equals(magic))
    return undefined;
  const length = content.subarray(offset + magic.length, offset + magic.length + 4);
  const record = content.subarray(start, start + length.readUInt32BE());
  const digest = content.subarray(start - digestBytes, start);
  return digest.equals(digestOf(record, length)) ? record : undefined;
}
