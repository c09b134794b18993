import { readFileSync } from "node:fs";
import type { Socket } from "node:net";

/** Kept back for what the daemon itself opens: providers, the database of a fleet, files. */
const maxReserve = 512;
const reserveShare = 1 / 4;

/** Undefined where a socket is closed, or the system has none. */
export function descriptorOf(socket: Socket): number | undefined {
  // Node has no public way to it: the one private member that is read, by test/architecture/rules.ts.
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

/** How many files and sockets this process may have open, and who may use the last of them. */
export class Descriptors {
  readonly #reserve: number;

  /** @param limit undefined where it is not known: then nothing is kept back */
  constructor(readonly limit: number | undefined) {
    this.#reserve = limit === undefined ? 0 : Math.min(maxReserve, Math.floor(limit * reserveShare));
  }

  /** Node.js has raised it as far as it may. */
  static ofProcess(): Descriptors {
    try {
      const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
      return new Descriptors(soft === undefined ? undefined : Number(soft));
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
