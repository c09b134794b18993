import type { Principal } from "../../../model/access/principal.js";
import { type NameParts, nameKey } from "../../../model/connections/connection_name.js";
import type { ChangedConnection, Changes } from "../../../runtime/changes.js";

/** Which connections a subscriber wants. */
export interface WatchFilter {
  /** Undefined means all. */
  readonly connectionIds: ReadonlySet<string> | undefined;
  /** Besides those, every connection with one of these names. */
  readonly names?: readonly NameParts[];
  /** Undefined means any. */
  readonly userId: string | undefined;
  /** Whether its watcher may know of the connection. */
  readonly sees: (change: ChangedConnection) => boolean;
}

/** One watcher. It is notified which connections changed, never what they changed to. Neither call may throw. */
export interface Subscriber {
  readonly filter: WatchFilter;
  /** The connection changed: its newest state is to be read. */
  mark(connectionId: string): void;
  /** Streams end, and come back later. */
  wake(): void;
  /** Who reads the newest state of a connection as soon as it is marked, while `isReading`; absent where nobody does. */
  readonly reader?: string;
  readonly principal?: Principal;
  readonly isReading?: boolean;
}

/** Which watcher needs which change. Nothing secret passes through it: a change says "look again". */
export class Subscribers {
  readonly #subscribers = new Set<Subscriber>();
  readonly #byConnection = new Map<string, Set<Subscriber>>();
  readonly #byName = new Map<string, Set<Subscriber>>();
  readonly #toAll = new Set<Subscriber>();
  readonly #drained = new Set<() => void>();
  #draining = false;

  constructor(deps: { readonly changes: Changes }) {
    deps.changes.on("connections", (changed) => this.announce(changed));
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** Whether every stream is to end now. */
  get draining(): boolean {
    return this.#draining;
  }

  subscribe(subscriber: Subscriber): void {
    const { filter } = subscriber;
    this.#subscribers.add(subscriber);
    if (!filter.connectionIds) this.#toAll.add(subscriber);
    for (const id of filter.connectionIds ?? []) put(this.#byConnection, id, subscriber);
    for (const name of filter.names ?? []) put(this.#byName, nameKey(name), subscriber);
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    this.#toAll.delete(subscriber);
    for (const id of subscriber.filter.connectionIds ?? []) take(this.#byConnection, id, subscriber);
    for (const name of subscriber.filter.names ?? []) take(this.#byName, nameKey(name), subscriber);
    if (this.size === 0) for (const resolve of this.#drained) resolve();
  }

  announce(changes: readonly ChangedConnection[]): void {
    for (const change of changes) {
      this.#eachNamed(change, (subscriber) => {
        if (isWanted(subscriber.filter, change)) subscriber.mark(change.connectionId);
      });
    }
  }

  /** Who would read the newest state of a connection at once, if this change were announced now: at most `limit` of them. */
  readersOf(change: ChangedConnection, limit: number): Iterable<Principal> {
    const readers = new Map<string, Principal>();
    this.#eachNamed(change, ({ reader, principal, isReading, filter }) => {
      if (readers.size >= limit || !isReading || reader === undefined || !principal) return;
      if (!readers.has(reader) && isWanted(filter, change)) readers.set(reader, principal);
    });
    return readers.values();
  }

  #eachNamed(change: ChangedConnection, visit: (subscriber: Subscriber) => void): void {
    const byId = this.#byConnection.get(change.connectionId);
    for (const subscriber of byId ?? []) visit(subscriber);
    const byName = this.#byName.size === 0 ? undefined : this.#byName.get(nameKey(change));
    for (const subscriber of byName ?? []) if (!byId?.has(subscriber)) visit(subscriber);
    for (const subscriber of this.#toAll) visit(subscriber);
  }

  /** Asks every stream to send a drain and end; resolves when the last one has. */
  async drain(): Promise<void> {
    this.#draining = true;
    const empty = new Promise<void>((resolve) => (this.size === 0 ? resolve() : this.#drained.add(resolve)));
    // A stream that is notified ends at once, and takes itself out.
    for (const subscriber of [...this.#subscribers]) subscriber.wake();
    await empty;
  }
}

type Watching = Map<string, Set<Subscriber>>;

function put(watching: Watching, key: string, subscriber: Subscriber): void {
  const known = watching.get(key);
  if (known) known.add(subscriber);
  else watching.set(key, new Set([subscriber]));
}

function take(watching: Watching, key: string, subscriber: Subscriber): void {
  const known = watching.get(key);
  known?.delete(subscriber);
  if (known?.size === 0) watching.delete(key);
}

/** When that is unknown, the subscriber looks: it judges again what it reads, and fails alone. */
function isWanted({ userId, sees }: WatchFilter, change: ChangedConnection): boolean {
  try {
    return (userId === undefined || userId === change.userId) && sees(change);
  } catch {
    return true;
  }
}
