import type { Socket } from "node:net";
import { descriptorOf, notePeer } from "./socket_notes.js";

/** Who may open a Unix socket, and how its callers are distinguished. */
export interface SocketAccess {
  /** Mode of the socket's file. */
  readonly mode: number;
  /** Reads the user at the other end; undefined where the mode lets the owner in alone. */
  readonly uidOf: ((socket: Socket) => number | undefined) | undefined;
}

export const ownerOnly: SocketAccess = { mode: 0o600, uidOf: undefined };

/** The platform does not show who is at the other end of a socket. */
export class NoPeerCredentials extends Error {
  override readonly name = "NoPeerCredentials";
}

/** `SOL_SOCKET` and `SO_PEERCRED` of the kernel's `asm-generic/socket.h`, which these have in common. */
const [solSocket, soPeercred] = [1, 17];
const architectures: readonly string[] = ["x64", "arm64", "arm", "ia32", "riscv64", "loong64"];

/** `struct ucred` of socket(7): pid, uid and gid, 32 bits each. */
const ucredBytes = 12;

/**
 * What a socket with this mode needs. The kernel noted the user when the peer connected, so that nothing it does later changes it.
 *
 * @throws NoPeerCredentials for a mode wider than 0600 anywhere but on Linux, or where the call is not to be had
 */
export async function openSocketAccess(mode: number): Promise<SocketAccess> {
  if (mode === ownerOnly.mode) return ownerOnly;
  if (process.platform !== "linux" || !architectures.includes(process.arch)) {
    throw new NoPeerCredentials(`it is not known how to read them on ${process.platform} ${process.arch}`);
  }
  const getsockopt = await loadGetsockopt();
  const uidOf = (socket: Socket): number | undefined => {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    const credentials = Buffer.alloc(ucredBytes);
    const bytes = [ucredBytes];
    if (getsockopt(fd, solSocket, soPeercred, credentials, bytes) !== 0 || bytes[0] !== ucredBytes)
      return undefined;
    const view = new DataView(credentials.buffer, credentials.byteOffset, ucredBytes);
    return view.getUint32(4, isLittleEndian);
  };
  return { mode, uidOf };
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Notes on a new connection who is at its other end. */
export function noteUser(socket: Socket, uidOf: NonNullable<SocketAccess["uidOf"]>): void {
  notePeer(socket, { uid: uidOf(socket) ?? "unknown" });
}

type Getsockopt = (fd: number, level: number, name: number, value: Buffer, length: number[]) => number;

/** Node has no such call. The library takes 7 ms to load, and is loaded for a wider socket alone. */
async function loadGetsockopt(): Promise<Getsockopt> {
  try {
    const { default: koffi } = await import("koffi");
    const declaration = "int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)";
    return koffi.load(null).func(declaration) as unknown as Getsockopt;
  } catch (error) {
    throw new NoPeerCredentials(`the system's getsockopt cannot be called: ${(error as Error).message}`);
  }
}
