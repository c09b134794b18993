/**
 * Ends this process although lmdb's writer thread does not come back from a failed write, as it does at times: `exit` would wait for
 * it, for ever. Another program in its place ends every thread, and with the code of this one; Node.js has that from 22.15. Before,
 * and where it fails, the process kills itself: better no code than a hang.
 */
export function endAtOnce(exitCode: number): never {
  try {
    const { execve } = process as { execve?: (file: string, args: readonly string[], env: object) => never };
    execve?.call(process, process.execPath, [process.execPath, "--eval", `process.exit(${exitCode})`], {});
  } catch {
    // As without it.
  }
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}
