import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { usageFailure } from "../../../cli/kit.js";
import { isJsonObject, type JsonValue } from "../../../model/model.js";

/** No host's configuration is longer. */
const maxBytes = 1024 * 1024;
const maxLineLength = 16 * 1024;

/** A file as it was read. */
export interface FileOnDisk {
  /** Its folder has no symbolic link in it. */
  readonly path: string;
  readonly text: string;
  /** Of its permissions. */
  readonly mode: number;
  readonly inode: number;
}

/**
 * Reads a file that may be rewritten: a regular file of this user, of UTF-8, with one name.
 *
 * @returns undefined where there is none
 * @throws CommandFailure that names the file and what is wrong with it
 */
export function readFileOnDisk(given: string): FileOnDisk | undefined {
  const path = placeOf(given);
  const descriptor = path === undefined ? undefined : opened(path);
  if (path === undefined || descriptor === undefined) return undefined;
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw usageFailure(`${given} is no regular file`);
    if (stat.uid !== process.getuid?.())
      throw usageFailure(`${given} belongs to another user: run this as its owner`);
    if (stat.nlink > 1)
      throw usageFailure(`${given} has another name (a hard link), which would keep the keys`);
    if (stat.size > maxBytes) throw usageFailure(`${given} is longer than ${maxBytes / 1024} KiB`);
    const text = decoded(readFileSync(descriptor), given);
    return { path, text, mode: stat.mode & 0o777, inode: stat.ino };
  } finally {
    closeSync(descriptor);
  }
}

function placeOf(given: string): string | undefined {
  try {
    return join(realpathSync(dirname(resolve(given))), basename(given));
  } catch (error) {
    return unlessMissing(error, given);
  }
}

function opened(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return unlessMissing(error, path);
  }
}

function unlessMissing(error: unknown, path: string): undefined {
  const { code = "unknown error" } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") return undefined;
  if (code === "ELOOP") throw usageFailure(`${path} is a symbolic link: name the file that it leads to`);
  throw usageFailure(`${path} cannot be read: ${code}`);
}

function decoded(bytes: Buffer, given: string): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return withShortLines(text, given);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw usageFailure(`${given} is no text in UTF-8`);
}

function withShortLines(text: string, given: string): string {
  if (text.split("\n").every(({ length }) => length <= maxLineLength)) return text;
  throw usageFailure(`${given} has a line longer than ${maxLineLength} characters`);
}

/** Puts a text in the place of a file at once. @throws CommandFailure when it is no longer as it was read */
export function replaceFile(file: FileOnDisk, text: string): void {
  const temporary = join(dirname(file.path), `.${basename(file.path)}.${randomBytes(6).toString("hex")}`);
  writeNew(temporary, text, file.mode);
  try {
    const now = readFileOnDisk(file.path);
    if (now?.inode !== file.inode || now.text !== file.text || now.mode !== file.mode)
      throw usageFailure(`${file.path} was changed meanwhile: run this again`);
    renameSync(temporary, file.path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  syncFolder(dirname(file.path));
}

function writeNew(path: string, text: string, mode: number): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeSync(descriptor, text);
    // What the umask took.
    fchmodSync(descriptor, mode);
    fsyncSync(descriptor);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** A file as it was before its keys were moved. */
export interface KeptCopy {
  /** Where the copy is. */
  readonly copy: string;
  readonly path: string;
  readonly content: string;
  /** SHA-256 of the file after that. */
  readonly rewritten: string;
}

/** The copies of rewritten files, in a folder that no repository holds and this user alone may read. */
export class KeptCopies {
  readonly #folder: string;

  constructor(env: NodeJS.ProcessEnv) {
    const state = env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
    this.#folder = join(state, "nexusd", "adopted");
  }

  /** @returns where it is */
  keep({ path, text: content }: FileOnDisk, rewritten: string): string {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(this.#folder);
    if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
      throw usageFailure(
        `${this.#folder} must be a folder of this user alone (0700): it keeps the keys of rewritten files`,
      );
    const copies = this.of(path);
    const number = Math.max(0, ...copies.map(({ copy }) => numberOf(copy))) + 1;
    const copy = join(this.#folder, `${digest(path).slice(0, 16)}.${number}.json`);
    writeNew(copy, JSON.stringify({ path, rewritten: digest(rewritten), content }), 0o600);
    syncFolder(this.#folder);
    return copy;
  }

  /** The oldest first. */
  of(path: string): KeptCopy[] {
    return this.all().filter((copy) => copy.path === path);
  }

  all(): KeptCopy[] {
    const copies = namesIn(this.#folder).flatMap((name) => readCopy(join(this.#folder, name)));
    return copies.sort((one, other) => numberOf(one.copy) - numberOf(other.copy));
  }

  drop({ copy }: Pick<KeptCopy, "copy">): void {
    unlinkSync(copy);
  }
}

const numberOf = (copy: string): number => Number(copy.split(".").at(-2) ?? 0);

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
}

function readCopy(copy: string): KeptCopy[] {
  const read: JsonValue = JSON.parse(readFileSync(copy, "utf8"));
  const { path, content, rewritten } = isJsonObject(read) ? read : {};
  if (typeof path !== "string" || typeof content !== "string" || typeof rewritten !== "string") return [];
  return [{ copy, path, content, rewritten }];
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
