import { lstatSync, statSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";

/** `sun_path` holds 108 bytes on Linux and 104 on macOS and the BSDs, its closing NUL included; a longer path would be cut. */
const maxPathBytes = process.platform === "linux" ? 107 : 103;

/**
 * Makes sure that nothing is in the way of a socket at `path`, and removes what a killed process left there.
 *
 * @returns what is in the way, as the end of a sentence; `undefined` when nothing is
 */
export async function clearSocketPath(path: string): Promise<string | undefined> {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) return `the path is ${bytes} bytes long, the system allows ${maxPathBytes}`;
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return `there is no folder ${folder}`;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return undefined;
  // Linux refuses a connection to any file that is no socket just as it refuses one to a dead socket.
  if (!found.isSocket()) return "there is a file that is not a socket";
  const answer = await connectTo(path);
  if (answer === undefined) return "another process listens on it";
  if (answer === "ENOENT") return undefined;
  if (answer !== "ECONNREFUSED") return `there is a socket that cannot be tried (${answer})`;
  unlinkSync(path);
  return undefined;
}

/**
 * Runs `bind` so that a socket it makes has `mode` from its first moment: a `chmod` afterwards would leave a gap in
 * which anyone may connect. The umask belongs to the whole process, and is back before anything else can run.
 */
export function withSocketMode(mode: number, bind: () => void): void {
  const before = process.umask(0o777 & ~mode);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

/** Resolves with the error's code, or `undefined` when something answered. A full backlog (EAGAIN) is an answer too. */
function connectTo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve(error.code === "EAGAIN" ? undefined : (error.code ?? error.name));
    });
  });
}
