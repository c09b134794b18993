import type { Connection, RefreshIntent } from "../../model/connections/connection.js";
import type { Clock } from "../../runtime/clock.js";

/** Longer than any request of the former leader is under way. */
const leastMs = 15_000;
/** A former leader that has not come back by then has lost what it was answered. */
const mostMs = 10 * 60_000;
/** What the token has left for the one probe, when nobody came back. */
const marginMs = 60_000;

/**
 * Intents that another process of the fleet left behind when it lost the lead. What it sent may be answered, and it may bring the answer
 * home; so its intents are left alone for as long as the living token allows, and are an earlier attempt's afterwards.
 */
export class ForeignIntents {
  readonly #waiting = new Set<string>();
  #leadsSinceMs: number | undefined;
  /** Told of a connection whose wait is over. */
  onOver: (connectionId: string) => void = () => undefined;

  /** @param owner UUID of this process */
  constructor(
    readonly owner: string,
    private readonly clock: Clock,
  ) {}

  /** This process leads from now on. */
  begin(): void {
    this.#leadsSinceMs = this.clock.nowMs();
  }

  /** Whether this intent must be left alone still; `onOver` is called when that is over. */
  isLeftAlone({ id, expiresAtMs }: Connection, { owner }: RefreshIntent): boolean {
    const sinceMs = this.#leadsSinceMs;
    if (owner === undefined || owner === this.owner || sinceMs === undefined) return false;
    const endMs = Math.min((expiresAtMs ?? sinceMs) - marginMs, sinceMs + mostMs);
    const waitMs = Math.max(sinceMs + leastMs, endMs) - this.clock.nowMs();
    if (waitMs <= 0) return false;
    if (!this.#waiting.has(id)) {
      this.#waiting.add(id);
      this.clock.setTimer(waitMs, () => {
        this.#waiting.delete(id);
        this.onOver(id);
      });
    }
    return true;
  }
}
