import type { Principal } from "../../model/access/principal.js";
import type { Clock } from "../../runtime/clock.js";

/** A stream that somebody holds open. */
export interface HeldStream {
  readonly principal: Principal;
  /** `<package>.<service>/<method>` */
  readonly rpc: string;
  readonly listener: string;
  readonly openedAtMs: number;
}

/** The streams that are open at all listeners, in the order in which they were opened. As many as `CallLimits` lets in. */
export class StreamRegistry {
  readonly #streams = new Set<HeldStream>();

  constructor(private readonly deps: { readonly clock: Clock }) {}

  get size(): number {
    return this.#streams.size;
  }

  /** @returns to be called when the stream is over */
  opened(stream: Omit<HeldStream, "openedAtMs">): () => void {
    const held = { ...stream, openedAtMs: this.deps.clock.nowMs() };
    this.#streams.add(held);
    return () => void this.#streams.delete(held);
  }

  /** Those that are open longest. */
  list(limit: number): HeldStream[] {
    const streams: HeldStream[] = [];
    for (const stream of this.#streams) {
      if (streams.length === limit) break;
      streams.push(stream);
    }
    return streams;
  }
}
