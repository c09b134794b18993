import { readdirSync, readFileSync } from "node:fs";

/** CPU of the threads of a process, in milliseconds, as the scheduler counted it in nanoseconds. Linux only. */
export function cpuMs(pid: number): number {
  const folder = `/proc/${pid}/task`;
  const perThread = readdirSync(folder).map((thread) => {
    const [ranNs] = readFileSync(`${folder}/${thread}/schedstat`, "utf8").split(" ");
    return Number(ranNs);
  });
  return perThread.reduce((sum, ranNs) => sum + ranNs, 0) / 1e6;
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
