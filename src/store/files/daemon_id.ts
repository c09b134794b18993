import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isId, newId } from "../../model/ids.js";

const fileName = "daemon-id";

/**
 * The id of the daemon whose data folder this is: it outlives the process, and no copy of the folder has it. The file says its own inode, which
 * a copy of it has not; a copy of the whole disk is not told from the original.
 *
 * @param folder this process holds its lock
 * @returns a UUID
 * @throws Error of the system
 */
export function daemonIdOf(folder: string): string {
  const descriptor = openSync(join(folder, fileName), "a+", 0o600);
  try {
    const inode = fstatSync(descriptor).ino.toString();
    const [id = "", itsInode] = readFileSync(descriptor, "utf8").trim().split(" ");
    if (isId(id) && itsInode === inode) return id;
    const made = newId();
    ftruncateSync(descriptor, 0);
    writeSync(descriptor, `${made} ${inode}\n`);
    return made;
  } finally {
    closeSync(descriptor);
  }
}
