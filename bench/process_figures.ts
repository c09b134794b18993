import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks of `/proc` a second: 100 on every Linux that Node runs on. */
const tickMs = 10;

/** CPU of a process with all its threads, in milliseconds, in steps of 10. Linux only. */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Fields are counted behind the command, which may hold spaces: utime and stime are the 14th and 15th.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** Resident memory in MiB. */
export function residentMiB(pid: number): number {
  const kiB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kiB) / 1024;
}

/** Resident memory that is the process's own: heap and stacks, without the pages of mapped files. */
export function anonymousMiB(pid: number): number {
  const kiB = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kiB) / 1024;
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
