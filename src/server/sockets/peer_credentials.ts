import type { Socket } from "node:net";
import { type Platform, platform } from "../../runtime/platform/platform.js";
import { loadSystemCalls } from "../../runtime/platform/system_calls.js";
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

/**
 * What a socket with this mode needs.
 *
 * @throws NoPeerCredentials for a mode wider than 0600 where the system does not show who connected
 */
export async function openSocketAccess(
  mode: number,
  on: Platform = platform,
  load = loadSystemCalls,
): Promise<SocketAccess> {
  if (mode === ownerOnly.mode) return ownerOnly;
  const option = on.peerOption;
  if (option === undefined) throw new NoPeerCredentials(`nexusd cannot read them on ${on.target}`);
  const { getsockopt } = await load().catch((error: Error) => {
    throw new NoPeerCredentials(`the system's getsockopt cannot be called: ${error.message}`);
  });
  const uidOf = (socket: Socket): number | undefined => {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    const struct = Buffer.alloc(option.bytes);
    const bytes = [option.bytes];
    if (getsockopt(fd, option.level, option.name, struct, bytes) !== 0 || bytes[0] !== option.bytes)
      return undefined;
    return option.uidOf(struct);
  };
  return { mode, uidOf };
}

/** Notes on a new connection who is at its other end. */
export function noteUser(socket: Socket, uidOf: NonNullable<SocketAccess["uidOf"]>): void {
  notePeer(socket, { uid: uidOf(socket) ?? "unknown" });
}
