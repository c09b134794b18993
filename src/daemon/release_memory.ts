/**
 * Gives back to the system what the start took and freed, some 4 MiB of V8's parsers: glibc would hold it for good. Where the C library is
 * another one nothing happens. The library that calls it takes 7 ms to load.
 */
export async function releaseFreedMemory(): Promise<void> {
  if (process.platform !== "linux") return;
  try {
    const { default: koffi } = await import("koffi");
    koffi.load(null).func("int malloc_trim(size_t)")(0);
  } catch {
    // musl has no such function.
  }
}
