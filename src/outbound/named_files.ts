import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

export interface NamedFilesDeps {
  /** Absolute, by name: of the setting. */
  readonly paths: Readonly<Record<string, string>>;
  readonly setting: string;
  /** What such a file is called in errors. */
  readonly kind: string;
  readonly maxBytes: number;
}

/** Neither path nor content is in the message. */
export class NamedFileRefused extends Error {
  constructor(
    message: string,
    /** It cannot be read now, and may be later. */
    readonly isPassing = false,
  ) {
    super(message);
    this.name = "NamedFileRefused";
  }
}

/** Files that operators name by a setting, and profiles by these names alone: a caller that may write profiles must not read files of the machine. */
export class NamedFiles {
  constructor(private readonly files: NamedFilesDeps) {}

  get names(): readonly string[] {
    return Object.keys(this.files.paths);
  }

  /**
   * What the file holds now: it is opened by its path each time, so that a symbolic link that was moved leads to the new file.
   *
   * @throws NamedFileRefused when the setting has no such name, the file is too large or none, or it cannot be read now
   */
  async text(name: string): Promise<string> {
    const { paths, setting, kind, maxBytes } = this.files;
    const path = Object.hasOwn(paths, name) ? paths[name] : undefined;
    if (path === undefined)
      throw new NamedFileRefused(
        `${setting} names no file ${name}: name it there, or another one in the profile`,
      );
    let file: FileHandle | undefined;
    try {
      // A pipe without a writer would block its reader.
      file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!(await file.stat()).isFile()) throw new NamedFileRefused(`the ${kind} ${name} is no regular file`);
      const bytes = Buffer.alloc(maxBytes + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length);
        length += bytesRead;
        if (bytesRead === 0 || length === bytes.length) break;
      }
      if (length > maxBytes)
        throw new NamedFileRefused(`the ${kind} ${name} holds more than ${maxBytes} bytes`);
      return bytes.toString("utf8", 0, length);
    } catch (error) {
      if (error instanceof NamedFileRefused) throw error;
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
      const words = `the ${kind} ${name} cannot be read (${code}): check ${setting}, and what writes the file`;
      throw new NamedFileRefused(words, true);
    } finally {
      await file?.close();
    }
  }
}
