import type { Connection } from "../../../model/connections/connection.js";
import { Unavailable } from "../../../model/errors.js";
import type { StreamSink, StreamSource } from "../../../runtime/stream_sink.js";
import type { Store } from "../../../store/store.js";
import type { Sight } from "../../access/access.js";
import type { Subscriber, Subscribers, WatchFilter } from "./subscribers.js";

/** What is known of a connection now; it is gone, or out of sight, when there is none. */
export interface ConnectionEvent {
  readonly connectionId: string;
  readonly connection: Connection | undefined;
}

export interface WatchedConnections {
  /** Whose states the stream begins with; none means the changes of all that its caller sees. */
  readonly connectionIds: readonly string[];
  /** Whether changes of the other connections that its caller sees are sent too. */
  readonly others: boolean;
}

export interface ConnectionWatchDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly subscribers: Subscribers;
}

/** Streams of connections without what is sealed: nothing is read that the audit log would have to hold. */
export class ConnectionWatch {
  constructor(private readonly deps: ConnectionWatchDeps) {}

  open(wanted: WatchedConnections, view: Sight, sink: StreamSink<ConnectionEvent>): StreamSource {
    const stream = new ConnectionStream(this.deps, wanted, view, sink);
    stream.start(wanted.connectionIds);
    return stream;
  }
}

class ConnectionStream implements Subscriber, StreamSource {
  readonly filter: WatchFilter;
  /** Of each the newest state is read when there is room for it. */
  readonly #pending = new Set<string>();
  #hasRoom = true;
  #isOver = false;

  constructor(
    private readonly deps: ConnectionWatchDeps,
    { connectionIds, others }: WatchedConnections,
    private readonly view: Sight,
    private readonly sink: StreamSink<ConnectionEvent>,
  ) {
    const named = others || connectionIds.length === 0 ? undefined : new Set(connectionIds);
    this.filter = { connectionIds: named, userId: undefined, sees: view.seesChange };
  }

  start(connectionIds: readonly string[]): void {
    // Subscribed before anything is read: what changes meanwhile is pending, not lost.
    this.deps.subscribers.subscribe(this);
    for (const id of connectionIds) this.#pending.add(id);
    this.#settle();
  }

  mark(connectionId: string): void {
    this.#pending.add(connectionId);
    this.#settle();
  }

  wake(): void {
    this.#settle();
  }

  resume(): void {
    this.#hasRoom = true;
    this.#settle();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending.clear();
    this.deps.subscribers.unsubscribe(this);
  }

  #settle(): void {
    if (this.#isOver) return;
    if (this.deps.subscribers.draining) {
      this.#end(new Unavailable("the daemon is ending: connect again"));
      return;
    }
    try {
      for (const connectionId of this.#pending) {
        if (!this.#hasRoom) return;
        this.#pending.delete(connectionId);
        this.#hasRoom = this.sink.send({ connectionId, connection: this.#read(connectionId) });
      }
    } catch (error) {
      this.#end(error);
    }
  }

  #read(connectionId: string): Connection | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    return connection && this.view.seesConnection(connection) ? connection : undefined;
  }

  #end(error: unknown): void {
    this.cancel();
    this.sink.end(error);
  }
}
