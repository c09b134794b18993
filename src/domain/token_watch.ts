import type { Clock } from "../runtime/clock.js";
import type { Store } from "../store/store.js";
import type { ConnectionView, CredentialReader } from "./credential_reader.js";
import type { Subscriber, WatchFilter, WatchHub } from "./watch_hub.js";

/** A place in the history of the store. */
export interface WatchPosition {
  readonly epoch: string;
  readonly revision: bigint;
}

export type WatchEvent =
  | { readonly kind: "state"; readonly view: ConnectionView }
  | { readonly kind: "removed"; readonly connectionId: string }
  | { readonly kind: "bookmark"; readonly position: WatchPosition }
  | { readonly kind: "reset"; readonly reason: "epoch_changed" | "position_too_old" }
  | { readonly kind: "drain"; readonly reconnectDelayMs: number };

export interface WatchOptions extends WatchFilter {
  readonly position: WatchPosition | undefined;
  /** 5 000 to 120 000. */
  readonly bookmarkIntervalMs: number;
}

/** Records read from the store at a time while a snapshot is sent. */
const page = 256;
/** Clients that were drained come back within this time, each at its own moment. */
const reconnectSpreadMs = 1_000;

type WatchStore = Pick<
  Store,
  "epoch" | "settledRevision" | "floorRevision" | "getConnection" | "listConnections" | "changesSince"
>;

/** The state stream: a snapshot or what changed since a position, then the newest state of whatever changes. */
export class TokenWatch {
  readonly #store: WatchStore;
  readonly #reader: CredentialReader;
  readonly #hub: WatchHub;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(options: {
    store: WatchStore;
    reader: CredentialReader;
    hub: WatchHub;
    clock: Clock;
    random: () => number;
  }) {
    this.#store = options.store;
    this.#reader = options.reader;
    this.#hub = options.hub;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** Ends soon after `signal` aborts, or, with a drain event, when the hub drains. */
  async *watch(options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    // Subscribed before anything is read: what changes meanwhile is pending, not lost.
    const subscriber = this.#hub.subscribe(options);
    const wake = (): void => subscriber.wake();
    signal.addEventListener("abort", wake);
    try {
      const reset = options.position && this.#cannotResume(options.position);
      if (reset) yield { kind: "reset", reason: reset };
      const start = this.#position();
      if (options.position && !reset) yield* this.#changesSince(options.position.revision, options);
      else yield* this.#snapshot(options);
      yield { kind: "bookmark", position: start };
      yield* this.#follow(subscriber, options.bookmarkIntervalMs, signal);
    } finally {
      signal.removeEventListener("abort", wake);
      this.#hub.unsubscribe(subscriber);
    }
  }

  async *#follow(
    subscriber: Subscriber,
    intervalMs: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    let bookmarkDue = false;
    let timer = this.#clock.setTimer(intervalMs, onInterval);
    function onInterval(): void {
      bookmarkDue = true;
      subscriber.wake();
    }
    try {
      while (!signal.aborted) {
        if (this.#hub.draining) {
          yield { kind: "drain", reconnectDelayMs: Math.round(reconnectSpreadMs * this.#random()) };
          return;
        }
        const connectionId = subscriber.take();
        if (connectionId !== undefined) {
          yield this.#stateOf(connectionId);
        } else if (bookmarkDue) {
          // Nothing is pending at this moment, and every settled change was marked before: all of them have been sent.
          bookmarkDue = false;
          timer = this.#clock.setTimer(intervalMs, onInterval);
          yield { kind: "bookmark", position: this.#position() };
        } else {
          await subscriber.changed();
        }
      }
    } finally {
      timer.cancel();
    }
  }

  *#snapshot(filter: WatchFilter): Generator<WatchEvent> {
    if (filter.connectionIds) {
      for (const id of filter.connectionIds) {
        const event = this.#stateOf(id);
        const foreign = event.kind === "state" && !matches(filter, event.view.connection.userId);
        yield foreign ? { kind: "removed", connectionId: id } : event;
      }
      return;
    }
    let afterId: string | undefined;
    for (;;) {
      const connections = this.#store.listConnections({
        limit: page,
        ...(afterId === undefined ? {} : { afterId }),
      });
      for (const { id } of connections) {
        afterId = id;
        const view = this.#reader.view(id);
        if (view && matches(filter, view.connection.userId)) yield { kind: "state", view };
      }
      if (connections.length < page) return;
    }
  }

  *#changesSince(revision: bigint, filter: WatchFilter): Generator<WatchEvent> {
    let after = revision;
    for (;;) {
      const changes = this.#store.changesSince(after, page);
      for (const change of changes) {
        after = change.revision;
        if (filter.connectionIds && !filter.connectionIds.has(change.connectionId)) continue;
        if (!matches(filter, change.userId)) continue;
        yield this.#stateOf(change.connectionId);
      }
      if (changes.length < page) return;
    }
  }

  #stateOf(connectionId: string): WatchEvent {
    const view = this.#reader.view(connectionId);
    return view ? { kind: "state", view } : { kind: "removed", connectionId };
  }

  #position(): WatchPosition {
    return { epoch: this.#store.epoch, revision: this.#store.settledRevision };
  }

  #cannotResume(position: WatchPosition): "epoch_changed" | "position_too_old" | undefined {
    if (position.epoch !== this.#store.epoch || position.revision > this.#store.settledRevision)
      return "epoch_changed";
    return position.revision < this.#store.floorRevision ? "position_too_old" : undefined;
  }
}

function matches(filter: WatchFilter, userId: string): boolean {
  return filter.userId === undefined || filter.userId === userId;
}
