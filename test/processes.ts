import { readdirSync, readFileSync } from "node:fs";

export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Its arguments, with spaces between them. */
  readonly command: string;
  /** What it was started with: `NAME=value`, each behind a NUL. Empty where it is another user's. */
  readonly environment: string;
}

/** All processes of this machine (proc(5)); none where there is no /proc. */
export function processes(): Process[] {
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "latin1");
    } catch {
      return "";
    }
  };
  const pids = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : [];
  return pids.map((pid) => ({
    pid: Number(pid),
    parent: Number(/^PPid:\t(\d+)$/m.exec(read(pid, "status"))?.[1] ?? 0),
    command: read(pid, "cmdline").replaceAll("\0", " ").trimEnd(),
    environment: read(pid, "environ"),
  }));
}
