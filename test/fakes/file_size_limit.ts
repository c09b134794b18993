import koffi from "koffi";

/** `RLIMIT_FSIZE` of the kernel's `asm-generic/resource.h`. */
const rlimitFsize = 1;
const prlimit = koffi
  .load(null)
  .func("int prlimit64(int pid, int resource, const uint64_t *limit, uint64_t *old)");

/** From now on a write of this process beyond that size of a file fails with EFBIG (prlimit(2)). */
export function limitFileSize(pid: number, bytes: bigint): void {
  // Soft and hard.
  if (prlimit(pid, rlimitFsize, BigUint64Array.of(bytes, bytes), null) !== 0) {
    throw new Error(`prlimit: ${koffi.errno()}`);
  }
}
