import { closeSync, existsSync, fsyncSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { exitCodes } from "../../core/exit_codes.js";
import { DocumentError, formatViolations, whyUnread } from "../../document/document_error.js";
import { CommandFailure, usageFailure } from "./command_failure.js";
import { printable } from "./text.js";

/**
 * The text of a file in UTF-8.
 *
 * @param setting the flag or variable that named the file; empty for an argument
 * @throws CommandFailure when it cannot be read
 */
export function readText(path: string, setting: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const named = setting === "" ? "" : `${setting}: `;
    throw usageFailure(`${named}${path} cannot be read: ${whyUnread((error as NodeJS.ErrnoException).code)}`);
  }
}

/** Reads a document. @throws CommandFailure naming each error of it with its place */
export function usable<T>(what: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    const lines = formatViolations(error).map((violation) => printable(`  ${file}:${violation}`));
    throw new CommandFailure(exitCodes.failed, [`the ${what} cannot be used`, ...lines].join("\n"));
  }
}

/** Why a new file cannot be made. */
export function whyNot(path: string, { code = "unknown error" }: NodeJS.ErrnoException): string {
  const folder = dirname(resolve(path));
  if (code === "ENOENT" && !existsSync(folder)) return `the folder ${printable(folder)} does not exist`;
  if (code === "EEXIST") return "it exists already, and is not written over: name another file, or remove it";
  return code;
}

/** A file that did not exist and that its owner alone may read (0600), made before the secret is. */
export class NewSecretFile {
  #descriptor: number | undefined;

  private constructor(
    readonly path: string,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
  }

  /** @throws CommandFailure when it exists, or cannot be made */
  static create(path: string): NewSecretFile {
    try {
      return new NewSecretFile(path, openSync(path, "wx", 0o600));
    } catch (error) {
      throw usageFailure(`--output: ${path} cannot be made: ${whyNot(path, error as NodeJS.ErrnoException)}`);
    }
  }

  write(text: string): void {
    if (this.#descriptor === undefined) return;
    writeSync(this.#descriptor, text);
    fsyncSync(this.#descriptor);
    this.#close();
  }

  /** For when there is no secret to write; one that was written stays. */
  remove(): void {
    if (this.#descriptor === undefined) return;
    this.#close();
    unlinkSync(this.path);
  }

  #close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
