import type { Stats } from "node:fs";
import { chmodSync, closeSync, fstatSync, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Every user of the machine. The group is not among them: a pod reads its mounted keys (0440) through it. */
const othersMask = 0o007;

/** The permissions (`0644`) of a file that other users can read or write; undefined where they cannot, and on systems without modes. */
function openMode(stat: Stats): string | undefined {
  if (process.getuid === undefined || !stat.isFile() || (stat.mode & othersMask) === 0) return undefined;
  return (stat.mode & 0o7777).toString(8).padStart(4, "0");
}

/** The mode of a file that other users can read or write now, as a link to it leads there; undefined where they cannot, or there is none. */
export function openModeOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && openMode(stat);
}

/** @throws Error when other users can read or write the file, or it cannot be read */
export function readSecretFile(path: string): string {
  const descriptor = openSync(path, "r");
  try {
    const mode = openMode(fstatSync(descriptor));
    if (mode !== undefined) throw new SecretFileOpen(path, mode);
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** A file of keys that every user can read or write is no secret any more. */
export class SecretFileOpen extends Error {
  override readonly name = "SecretFileOpen";

  constructor(path: string, mode: string) {
    super(
      `${path} holds a key and is open to other users (mode ${mode}): run "chmod 600" on it, and replace the key if anybody may have read it`,
    );
  }
}

/**
 * Closes a file of keys that lies in the data folder itself, which no other user can enter.
 *
 * @returns the mode that it had, to be reported; undefined where nothing was to be done, or the file is in another folder and not ours to change
 */
export function closeSecretFile(path: string, dataFolder: string): string | undefined {
  try {
    const file = realpathSync(path);
    const mode = dirname(file) === realpathSync(dataFolder) ? openMode(statSync(file)) : undefined;
    if (mode !== undefined) chmodSync(file, 0o600);
    return mode;
  } catch {
    // What is missing or belongs to somebody else is refused when it is read.
    return undefined;
  }
}
