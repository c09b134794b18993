import { ResourceExhausted } from "../../model/errors.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Clock } from "../../runtime/clock.js";

const hourMs = 60 * 60_000;
/** Connections remembered, some 200 bytes each: one that is forgotten starts again. */
const maxConnections = 10_000;

/** How many refreshes of tokens that need none yet are made within an hour for one connection, and reports acted on. A restart forgets them. */
export class RefreshLimit {
  readonly #times = new BoundedMap<string, readonly number[]>(maxConnections);

  constructor(
    private readonly deps: {
      readonly clock: Clock;
      readonly maxRejectionsPerHour: number;
    },
  ) {}

  /** Counts one. @throws ResourceExhausted */
  take(connectionId: string): void {
    const { clock, maxRejectionsPerHour: limit } = this.deps;
    const nowMs = clock.monotonicMs();
    const times = (this.#times.get(connectionId) ?? []).filter((timeMs) => nowMs - timeMs < hourMs);
    const [first = nowMs] = times;
    if (times.length < limit) {
      this.#times.set(connectionId, [...times, nowMs]);
      return;
    }
    throw new ResourceExhausted("RATE_LIMITED", {
      what: "forced refreshes and reports of refused tokens of this connection",
      limit,
      unit: "per hour",
      setting: "NEXUS_MAX_REJECTIONS_PER_HOUR",
      retryAfterMs: Math.ceil(first + hourMs - nowMs),
    });
  }
}
