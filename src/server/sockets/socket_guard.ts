import { isIP, type Socket } from "node:net";
import { edgePolicy } from "../../model/edge_policy.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import { platform } from "../../runtime/platform/platform.js";
import { loadSystemCalls } from "../../runtime/platform/system_calls.js";
import { awaitCredential, descriptorOf } from "./socket_notes.js";

/** All peers of a Unix socket: its mode says who they are, and a machine's agents may all start at once. */
const unix = "unix";

/**
 * What counts as one address: an IPv4 address, also where IPv6 maps it, or the first 64 bits of an IPv6 address, which is what one
 * customer gets. A port is dropped. Undefined for what is no address, as with a Unix socket.
 */
export function addressKey(origin: string | undefined): string | undefined {
  if (origin === undefined || isIP(origin) === 4) return origin;
  const host = /^\[(.*)\]:\d+$/.exec(origin)?.[1] ?? /^([\d.]+):\d+$/.exec(origin)?.[1] ?? origin;
  // The port of an IPv6 peer stands without brackets; no address has nine groups.
  const bare = isIP(host) === 0 ? host.replace(/:\d+$/, "") : host;
  const address = bare.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return address === "::1" ? address : firstGroups(address);
    default:
      return undefined;
  }
}

function firstGroups(address: string): string {
  const [left = "", right] = address.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** How many files and sockets this process may have open, and who may use the last of them. */
export class Descriptors {
  readonly #reserve: number;

  /** @param limit undefined where it is not known: then nothing is kept back */
  constructor(readonly limit: number | undefined) {
    const { max, share } = edgePolicy.reservedDescriptors;
    this.#reserve = limit === undefined ? 0 : Math.min(max, Math.floor(limit * share));
  }

  /** Node.js has raised it as far as it may. */
  static async ofProcess({ openFilesResource } = platform, load = loadSystemCalls): Promise<Descriptors> {
    if (openFilesResource === undefined) return new Descriptors(undefined);
    try {
      const limits: (number | bigint)[] = [0, 0];
      const result = (await load()).getrlimit(openFilesResource, limits);
      const soft = Number(limits[0]);
      // A greater one is that of no process: the system's word for "unlimited".
      return new Descriptors(result === 0 && soft < 2 ** 31 ? soft : undefined);
    } catch {
      return new Descriptors(undefined);
    }
  }

  /** What callers may use. */
  get forCallers(): number {
    return this.limit === undefined ? Number.POSITIVE_INFINITY : this.limit - this.#reserve;
  }

  /**
   * Whether a socket of a caller uses what is kept back. The system gives out the lowest number that is free: one in the reserve only when
   * all below it are in use.
   *
   * @param isNeeded whether it may use half of that
   */
  isReserved(socket: Socket, isNeeded = false): boolean {
    const fd = descriptorOf(socket);
    return fd !== undefined && fd >= this.forCallers + (isNeeded ? Math.floor(this.#reserve / 2) : 0);
  }
}

/** What there is no more of. */
export type FullOf = "connections" | "descriptors";

export interface SocketGuardOptions {
  /** Open sockets of one listening address. */
  readonly maxConnections: number;
  /** Of them, those over which no valid credential came; default all: then there are no crowds either. */
  readonly maxUnauthenticated?: number | undefined;
  /** How long one of those may live; default without end. */
  readonly unauthenticatedLifeMs?: number | undefined;
  readonly clock: Clock;
  /** Whether a new socket uses a descriptor that is kept back from it; default none does. */
  readonly isReserved?: ((socket: Socket) => boolean) | undefined;
  /** Notified of each socket that was closed because of `maxConnections`, or because the process has no more descriptors for it. */
  onFull(of: FullOf): void;
}

/**
 * Keeps the sockets of one listening address within their numbers. A socket is an unauthenticated's until a valid credential comes over it.
 * Room for a new one is made by closing the oldest unauthenticated socket of the address that has the most of them. So a client that opens
 * thousands shuts out itself first. Without an unauthenticated socket the new one is closed. A new one is also closed for a while in a
 * crowd of addresses with few sockets each, as of spokes whose hub died. Otherwise, each would push out one that is about to authenticate,
 * and none would get in. One timer looks after all unauthenticated callers.
 *
 * A new socket that has a descriptor of the reserve is closed in any case, and room is made for the next one: the closed descriptor is a low
 * one, which the next socket takes, so that one that stays in the reserve is missed by the look at the number, and the reserve fills up.
 */
export class SocketGuard {
  readonly #options: SocketGuardOptions;
  /** When each came, by address, the oldest first. */
  readonly #unauthenticated = new Map<string, Map<Socket, number>>();
  /** Addresses by how many unauthenticated callers they have, so that the one with the most is found at once. */
  readonly #addresses: Set<string>[] = [];
  /** Gives the place of a socket back, once. */
  readonly #leave = new WeakMap<Socket, () => void>();
  #unauthenticatedCount = 0;
  #count = 0;
  #timer: Timer | undefined;

  constructor(options: SocketGuardOptions) {
    this.#options = options;
  }

  /** Open sockets. */
  get count(): number {
    return this.#count;
  }

  add(socket: Socket): void {
    const { maxConnections, maxUnauthenticated = Number.POSITIVE_INFINITY, clock, onFull } = this.#options;
    const address = addressKey(socket.remoteAddress) ?? unix;
    const isReserved = this.#options.isReserved?.(socket) === true;
    if (isReserved) {
      onFull("descriptors");
      this.#closeUnauthenticated();
      socket.destroy();
      return;
    }
    if (this.#count >= maxConnections) {
      onFull("connections");
      if (!this.#closeUnauthenticated()) {
        socket.destroy();
        return;
      }
    } else if (this.#unauthenticatedCount >= maxUnauthenticated) {
      if (this.#isOneOfCrowd(address, maxUnauthenticated)) {
        socket.destroy();
        return;
      }
      this.#closeUnauthenticated();
    }
    const ofAddress = this.#unauthenticated.get(address) ?? new Map<Socket, number>();
    this.#unauthenticated.set(address, ofAddress);
    ofAddress.set(socket, clock.monotonicMs());
    this.#count++;
    this.#unauthenticatedCount++;
    this.#moved(address, ofAddress.size - 1, ofAddress.size);
    awaitCredential(socket, () => this.#forget(address, socket));
    let isOpen = true;
    this.#leave.set(socket, () => {
      if (!isOpen) return;
      isOpen = false;
      this.#count--;
      this.#forget(address, socket);
    });
    socket.once("close", () => this.#leave.get(socket)?.());
    this.#timer ??= clock.setTimer(edgePolicy.sockets.sweepMs, () => this.#sweep());
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Not where its address has fewer than another one: that is a few addresses' flood, which must not shut out anybody. */
  #isOneOfCrowd(address: string, maxUnauthenticated: number): boolean {
    const most = this.#addresses.length - 1;
    const withIt = (this.#unauthenticated.get(address)?.size ?? 0) + 1;
    if (withIt < most) return false;
    const [, sinceMs = 0] = this.#oldest() ?? [];
    const isYoung =
      this.#options.clock.monotonicMs() - sinceMs < edgePolicy.unauthenticatedConnections.crowdGraceMs;
    return isYoung && most <= maxUnauthenticated * edgePolicy.unauthenticatedConnections.crowdShare;
  }

  /** Of the address that has the most. */
  #oldest(): readonly [Socket, number] | undefined {
    const [address] = this.#addresses.at(-1) ?? [];
    const [oldest] = (address === undefined ? undefined : this.#unauthenticated.get(address)) ?? [];
    return oldest;
  }

  /** @returns whether there was one */
  #closeUnauthenticated(): boolean {
    const [oldest] = this.#oldest() ?? [];
    if (!oldest) return false;
    // Its place is free now, and not when its event comes: many may be accepted in one turn.
    this.#leave.get(oldest)?.();
    oldest.destroy();
    return true;
  }

  #forget(address: string, socket: Socket): void {
    const ofAddress = this.#unauthenticated.get(address);
    if (!ofAddress?.delete(socket)) return;
    this.#unauthenticatedCount--;
    this.#moved(address, ofAddress.size + 1, ofAddress.size);
    if (ofAddress.size === 0) this.#unauthenticated.delete(address);
  }

  #moved(address: string, before: number, now: number): void {
    this.#addresses[before]?.delete(address);
    const others = this.#addresses[now] ?? new Set();
    this.#addresses[now] = now > 0 ? others.add(address) : others;
    this.#addresses[0] ??= new Set();
    while (this.#addresses.length > 1 && this.#addresses.at(-1)?.size === 0) this.#addresses.pop();
  }

  #sweep(): void {
    const { clock, unauthenticatedLifeMs = Number.POSITIVE_INFINITY } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const ofAddress of this.#unauthenticated.values()) {
      for (const [socket, sinceMs] of ofAddress) {
        const allowedMs = socket.bytesRead === 0 ? edgePolicy.sockets.silenceMs : unauthenticatedLifeMs;
        if (nowMs - sinceMs >= allowedMs) socket.destroy();
      }
    }
    this.#timer =
      this.#unauthenticatedCount === 0
        ? undefined
        : clock.setTimer(edgePolicy.sockets.sweepMs, () => this.#sweep());
  }
}
