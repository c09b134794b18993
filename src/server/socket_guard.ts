import type { Socket } from "node:net";
import type { Clock, Timer } from "../runtime/clock.js";

/** Time a new connection has to send its first byte. As long as the headers of a request may take. */
const silenceMs = 10_000;

/** How often silent connections are looked for. */
const sweepMs = 5_000;

export interface SocketGuardOptions {
  /** Open sockets of one listening address. */
  readonly maxConnections: number;
  readonly clock: Clock;
  /** Told of each socket that was closed because of that many. */
  onFull(): void;
}

/**
 * Keeps the sockets of one listening address within their number. Room for a new one is made by closing the one that has been
 * silent longest since it came: whoever only opens sockets shuts out nobody but himself. Without a silent one the new one
 * is closed. One timer looks after all sockets that have not sent a byte.
 */
export class SocketGuard {
  readonly #options: SocketGuardOptions;
  /** When each came, the oldest first; those that have spoken leave it when they are met. */
  readonly #silent = new Map<Socket, number>();
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
    const { maxConnections, clock, onFull } = this.#options;
    if (this.#count >= maxConnections) {
      onFull();
      const silent = this.#longestSilent();
      (silent ?? socket).destroy();
      if (!silent) return;
    }
    this.#count++;
    this.#silent.set(socket, clock.monotonicMs());
    let isOpen = true;
    const leave = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#count--;
      this.#silent.delete(socket);
    };
    socket.once("close", leave);
    this.#timer ??= clock.setTimer(sweepMs, () => this.#sweep());
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #longestSilent(): Socket | undefined {
    for (const socket of this.#silent.keys()) {
      this.#silent.delete(socket);
      if (socket.bytesRead === 0 && !socket.destroyed) return socket;
    }
    return undefined;
  }

  #sweep(): void {
    const { clock } = this.#options;
    const latestMs = clock.monotonicMs() - silenceMs;
    for (const [socket, sinceMs] of this.#silent) {
      if (socket.bytesRead > 0) this.#silent.delete(socket);
      else if (sinceMs <= latestMs) socket.destroy();
    }
    this.#timer = this.#silent.size === 0 ? undefined : clock.setTimer(sweepMs, () => this.#sweep());
  }
}
