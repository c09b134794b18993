import type { IncomingMessage } from "node:http";
import { edgePolicy } from "../../model/edge_policy.js";

/**
 * What a listener holds for all of its clients together: bodies that have not arrived whole, and answers that are not sent. Where it would be
 * more than it may, the connection whose request began first is closed: a client that sends at once and reads its answer is done before.
 */
export class HeldBytes {
  /** By request, in the order in which they began. */
  readonly #held = new Map<IncomingMessage, number>();
  #sum = 0;

  /** @param maxBytes undefined for any number */
  constructor(private readonly maxBytes: number | undefined) {}

  /** A part of the body of a request arrived. */
  take(request: IncomingMessage, bytes: number): void {
    this.#hold(request, (this.#held.get(request) ?? 0) + bytes + edgePolicy.bodyPartBytes);
  }

  /** The body is done with, and the answer waits to be sent. */
  answer(request: IncomingMessage, bytes: number): void {
    this.#hold(request, bytes);
  }

  release(request: IncomingMessage): void {
    this.#sum -= this.#held.get(request) ?? 0;
    this.#held.delete(request);
  }

  #hold(request: IncomingMessage, bytes: number): void {
    if (this.maxBytes === undefined || request.socket.destroyed) return;
    this.#sum += bytes - (this.#held.get(request) ?? 0);
    this.#held.set(request, bytes);
    for (const [oldest] of this.#held) {
      if (this.#sum <= this.maxBytes) return;
      this.release(oldest);
      oldest.socket.destroy();
    }
  }
}
