/** One change of one connection, durable. */
export interface AnnouncedChange {
  readonly connectionId: string;
  readonly userId: string;
  readonly providerId: string;
}

/** Which connections a subscriber wants. */
export interface WatchFilter {
  /** Undefined means all. */
  readonly connectionIds: ReadonlySet<string> | undefined;
  /** Undefined means any. */
  readonly userId: string | undefined;
  /** Whether its watcher may know of the connection. */
  readonly sees: (change: AnnouncedChange) => boolean;
}

/**
 * One watcher. It holds which connections changed, never what they changed to: one pending slot per connection, and the
 * newest state is read when the slot is emptied.
 */
export class Subscriber {
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

  /** The connections that will be taken next, left where they are. */
  waiting(limit: number): string[] {
    const ids: string[] = [];
    for (const connectionId of this.#pending) {
      if (ids.length === limit) break;
      ids.push(connectionId);
    }
    return ids;
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

/** Who must be told of which change. Nothing secret passes through it: a change says "look again". */
export class WatchHub {
  readonly #byConnection = new Map<string, Set<Subscriber>>();
  readonly #toAll = new Set<Subscriber>();
  readonly #drained = new Set<() => void>();
  #size = 0;
  #draining = false;

  get size(): number {
    return this.#size;
  }

  /** Whether every stream is to end now. */
  get draining(): boolean {
    return this.#draining;
  }

  subscribe(filter: WatchFilter): Subscriber {
    const subscriber = new Subscriber(filter);
    this.#size++;
    if (!filter.connectionIds) this.#toAll.add(subscriber);
    for (const id of filter.connectionIds ?? []) {
      const watching = this.#byConnection.get(id);
      if (watching) watching.add(subscriber);
      else this.#byConnection.set(id, new Set([subscriber]));
    }
    return subscriber;
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#size--;
    this.#toAll.delete(subscriber);
    for (const id of subscriber.filter.connectionIds ?? []) {
      const watching = this.#byConnection.get(id);
      watching?.delete(subscriber);
      if (watching?.size === 0) this.#byConnection.delete(id);
    }
    if (this.#size === 0) for (const resolve of this.#drained) resolve();
  }

  announce(changes: readonly AnnouncedChange[]): void {
    for (const change of changes) {
      for (const subscriber of this.#byConnection.get(change.connectionId) ?? []) tell(subscriber, change);
      for (const subscriber of this.#toAll) tell(subscriber, change);
    }
  }

  /** Asks every stream to say goodbye and end; resolves when the last one has. */
  async drain(): Promise<void> {
    this.#draining = true;
    const empty = new Promise<void>((resolve) => (this.#size === 0 ? resolve() : this.#drained.add(resolve)));
    for (const subscriber of this.#toAll) subscriber.wake();
    for (const watching of this.#byConnection.values()) for (const subscriber of watching) subscriber.wake();
    await empty;
  }
}

function tell(subscriber: Subscriber, change: AnnouncedChange): void {
  const { userId, sees } = subscriber.filter;
  if ((userId === undefined || userId === change.userId) && sees(change)) {
    subscriber.mark(change.connectionId);
  }
}
