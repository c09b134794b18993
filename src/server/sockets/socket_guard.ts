import type { Socket } from "node:net";
import type { Clock, Timer } from "../../runtime/clock.js";
import { addressKey } from "./address_key.js";

/** Time a new connection has to send its first byte. As long as the headers of a request may take. */
const silenceMs = 10_000;

/** Time a connection of a crowd has to show its credential before a newer one may take its place: TLS with a thousand of them takes a second or two. */
const crowdGraceMs = 5_000;
/** Where no address holds more of the places of unauthenticated callers than this, a crowd came and not one flood. */
const crowdShare = 1 / 10;

/** How often connections that are due to end are looked for. */
const sweepMs = 5_000;

/** All peers of a Unix socket: its mode says who they are, and a machine's agents may all start at once. */
const unix = "unix";

/** A property of the socket itself, because the proxies that HTTP/2 puts before a socket pass properties on. */
const provenKey = Symbol("proven");

type Guarded = Socket & { [provenKey]?: (() => void) | undefined };

/** A valid credential came over this connection: from now on it is no unauthenticated's. */
export function noteCredential(socket: Socket | undefined): void {
  const proven = (socket as Guarded | undefined)?.[provenKey];
  if (!socket || !proven) return;
  (socket as Guarded)[provenKey] = undefined;
  proven();
}

/** Whether the guard still waits for a valid credential over this connection. */
export function isUnauthenticated(socket: Socket): boolean {
  return (socket as Guarded)[provenKey] !== undefined;
}

/** What is noted on `outer`, which speaks TLS, counts for the connection under it. */
export function standFor(outer: Socket, inner: Socket): void {
  const proven = (inner as Guarded)[provenKey];
  if (proven) (outer as Guarded)[provenKey] = proven;
}

/** What there is no more of. */
export type FullOf = "connections" | "descriptors";

export interface SocketGuardOptions {
  /** Open sockets of one listening address. */
  readonly maxConnections: number;
  /** Of them, those over which no valid credential came; default all, as at a Unix socket. */
  readonly maxUnauthenticated?: number | undefined;
  /** How long one of those may live; default without end. */
  readonly unauthenticatedLifeMs?: number | undefined;
  readonly clock: Clock;
  /** Whether a new socket uses a descriptor that is kept back from it; default none does. */
  readonly isReserved?: ((socket: Socket, isOfUnix: boolean) => boolean) | undefined;
  /** Notified of each socket that was closed because of `maxConnections`, or because the process has no more descriptors for it. */
  onFull(of: FullOf): void;
}

/**
 * Keeps the sockets of one listening address within their numbers. A socket is an unauthenticated's until a valid credential comes over it.
 * Room for a new one is made by closing the oldest unauthenticated socket of the address that has the most of them. So a client that opens
 * thousands shuts out itself first. Without an unauthenticated socket the new one is closed. A new one is also closed for a while in a
 * crowd of addresses with few sockets each, as of spokes whose hub died. Otherwise, each would push out one that is about to authenticate,
 * and none would get in. One timer looks after all unauthenticated callers.
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
    const { maxConnections, maxUnauthenticated = maxConnections, clock, onFull } = this.#options;
    const address = addressKey(socket.remoteAddress) ?? unix;
    const isReserved = this.#options.isReserved?.(socket, address === unix) === true;
    if (isReserved || this.#count >= maxConnections) {
      onFull(isReserved ? "descriptors" : "connections");
      if (!this.#closeUnauthenticated()) {
        socket.destroy();
        return;
      }
    } else if (address !== unix && this.#unauthenticatedCount >= maxUnauthenticated) {
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
    (socket as Guarded)[provenKey] = () => this.#forget(address, socket);
    let isOpen = true;
    this.#leave.set(socket, () => {
      if (!isOpen) return;
      isOpen = false;
      this.#count--;
      this.#forget(address, socket);
    });
    socket.once("close", () => this.#leave.get(socket)?.());
    this.#timer ??= clock.setTimer(sweepMs, () => this.#sweep());
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
    const isYoung = this.#options.clock.monotonicMs() - sinceMs < crowdGraceMs;
    return isYoung && most <= maxUnauthenticated * crowdShare;
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
        const allowedMs = socket.bytesRead === 0 ? silenceMs : unauthenticatedLifeMs;
        if (nowMs - sinceMs >= allowedMs) socket.destroy();
      }
    }
    this.#timer = this.#unauthenticatedCount === 0 ? undefined : clock.setTimer(sweepMs, () => this.#sweep());
  }
}
