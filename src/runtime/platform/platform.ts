/** What differs between the systems that nexusd runs on. Nobody else asks which one it is. */
export interface Platform {
  /** As people call it. */
  readonly name: string;
  /** The system and the processor, as `linux-x64`. */
  readonly target: string;
  /** Bytes that a path of a Unix socket has at most: `sun_path` without its closing NUL. A longer one would be cut. */
  readonly maxSocketPathBytes: number;
  /** How the kernel shows the user at the other end of a Unix socket; undefined where it is not known. */
  readonly peerOption: PeerOption | undefined;
  /** `RLIMIT_NOFILE` of getrlimit(2); undefined where it is not known. */
  readonly openFilesResource: number | undefined;
  /** A service manager may listen for sd_notify(3). */
  readonly hasServiceManager: boolean;
  /** bubblewrap can keep a program apart. */
  readonly hasNamespaces: boolean;
  /** Without a variable that names a display, no browser can be opened. */
  readonly hasDisplayVariables: boolean;
}

/** The option of getsockopt(2) on a connected Unix socket. The kernel noted the user when the peer connected. */
export interface PeerOption {
  readonly level: number;
  readonly name: number;
  /** Of the struct that it returns. */
  readonly bytes: number;
  /** Undefined for a struct of another layout. */
  readonly uidOf: (struct: Buffer) => number | undefined;
}

/** `struct ucred` of socket(7): pid, uid, and gid, 32 bits each. */
const ucred: PeerOption = {
  // SOL_SOCKET and SO_PEERCRED of asm-generic/socket.h.
  ...{ level: 1, name: 17, bytes: 12 },
  uidOf: (struct) => struct.readUInt32LE(4),
};

/** Those whose Linux has these numbers, the lower byte first. */
const genericProcessors: readonly string[] = ["x64", "arm64", "arm", "ia32", "riscv64", "loong64"];

/** `struct xucred` of macOS's sys/ucred.h: its version, the uid, a count, and 16 groups. golang.org/x/sys/unix has the same numbers. */
const xucred: PeerOption = {
  // SOL_LOCAL and LOCAL_PEERCRED of sys/un.h.
  ...{ level: 0, name: 1, bytes: 76 },
  // XUCRED_VERSION is 0.
  uidOf: (struct) => (struct.readUInt32LE(0) === 0 ? struct.readUInt32LE(4) : undefined),
};

const linux: Omit<Platform, "target" | "peerOption"> = {
  name: "Linux",
  maxSocketPathBytes: 107,
  openFilesResource: 7,
  hasServiceManager: true,
  hasNamespaces: true,
  hasDisplayVariables: true,
};

/** A system of BSD's family, of which nothing more is known. */
const other = {
  maxSocketPathBytes: 103,
  peerOption: undefined,
  openFilesResource: undefined,
  hasServiceManager: false,
  hasNamespaces: false,
  hasDisplayVariables: false,
} as const;

/** @param system and processor, as Node calls them */
export function platformOf(system: string, processor: string): Platform {
  const target = `${system}-${processor}`;
  if (system === "linux")
    return { ...linux, target, peerOption: genericProcessors.includes(processor) ? ucred : undefined };
  if (system === "darwin")
    return { ...other, name: "macOS", target, peerOption: xucred, openFilesResource: 8 };
  return { ...other, name: system, target };
}

/** The one of this process. */
export const platform = platformOf(process.platform, process.arch);
