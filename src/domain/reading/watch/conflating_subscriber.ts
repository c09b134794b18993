import type { Subscriber, WatchFilter } from "./subscribers.js";

/**
 * A watcher that waits. It holds which connections changed, never what they changed to: one pending slot per connection, and the
 * newest state is read when the slot is emptied.
 */
export class ConflatingSubscriber implements Subscriber {
  readonly #pending = new Set<string>();
  #wake: (() => void) | undefined;

  constructor(readonly filter: WatchFilter) {}

  /** Takes the connection that changed first, if any did. */
  take(): string | undefined {
    for (const connectionId of this.#pending) {
      this.#pending.delete(connectionId);
      return connectionId;
    }
    return undefined;
  }

  mark(connectionId: string): void {
    this.#pending.add(connectionId);
    this.wake();
  }

  /** Ends the present `changed`, if one waits. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when something is pending, or at `wake`. */
  changed(): Promise<void> {
    if (this.#pending.size > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
