import { readFileSync } from "node:fs";

/** Bytes of a Kubernetes quantity in Mi. */
export function bytesOf(quantity = ""): number {
  const [, count] = /^(\d+)Mi$/.exec(quantity) ?? [];
  if (count === undefined) throw new Error(`${quantity} is not in Mi`);
  return Number(count) * 1024 ** 2;
}

/** What a process of this machine uses. */
export function usageOf(pid: number): { residentBytes: number; cpuMs: number } {
  const kiB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  // Fields 14 and 15 (proc_pid_stat(5)), in ticks of 10 ms; the name before them may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return { residentBytes: Number(kiB) * 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * 10 };
}
