/** Calls of the C library that Node does not have. Each returns -1 if it fails. */
export interface SystemCalls {
  /** @param bytes of `value`; in return, of what was written */
  readonly getsockopt: (fd: number, level: number, name: number, value: Buffer, bytes: number[]) => number;
  /** @param limits two places: in return, the soft and the hard limit */
  readonly getrlimit: (resource: number, limits: (number | bigint)[]) => number;
  readonly fcntl: (fd: number, command: number, type: "int", value: number) => number;
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly sendto: (
    ...args: [fd: number, data: Buffer, bytes: number, flags: number, to: Uint8Array, toBytes: number]
  ) => number;
  readonly close: (fd: number) => number;
  /** Of the call that failed last. */
  readonly errno: () => number;
}

/** The library takes 7 ms to load, so only those that call the system load it. @throws Error if it has no code for this system */
export async function loadSystemCalls(): Promise<SystemCalls> {
  const { default: koffi } = await import("koffi");
  const libc = koffi.load(null);
  return {
    getsockopt: libc.func("int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)"),
    // `rlim_t` is as long as a word on both systems.
    getrlimit: libc.func("int getrlimit(int, _Out_ unsigned long *)"),
    fcntl: libc.func("int fcntl(int, int, ...)"),
    socket: libc.func("int socket(int, int, int)"),
    sendto: libc.func("intptr_t sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)"),
    close: libc.func("int close(int)"),
    errno: () => koffi.errno(),
  };
}
