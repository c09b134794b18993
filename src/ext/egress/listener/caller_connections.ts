import type { Socket } from "node:net";
import type { Principal } from "../../../model/access/access.js";
import { Problem } from "../proxy/problem.js";

/** Bounds what each caller of the egress listener has open: a tunnel takes two descriptors of the daemon. */
export class CallerConnections {
  readonly #open = new Map<string, Set<Socket>>();

  constructor(private readonly maxOfPrincipal: number) {}

  /** Counts a connection until it closes; known ones come again with each request. @throws Problem */
  admit({ name }: Principal, socket: Socket): void {
    const own = this.#open.get(name) ?? new Set<Socket>();
    if (own.has(socket) || socket.destroyed) return;
    if (own.size >= this.maxOfPrincipal) {
      const detail =
        `one caller may have ${this.maxOfPrincipal} connections to this proxy (NEXUS_EGRESS_MAX_CONNECTIONS): ` +
        "close some, or send more requests over each";
      throw new Problem(429, "too-many-connections", detail);
    }
    this.#open.set(name, own.add(socket));
    socket.once("close", () => {
      own.delete(socket);
      if (own.size === 0 && this.#open.get(name) === own) this.#open.delete(name);
    });
  }
}
