import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { isFound } from "../../../model/connections/connection_search.js";
import type { StreamSink, StreamSource } from "../../../runtime/stream_sink.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { eventStream, insertEvent, removeEvent, replaceEvent } from "../frame/event_stream.js";
import { type Filter, filterOf, rowsOf, sinceField, statusOf } from "./connection_list.js";
import { connectionRow, elementId } from "./connection_table.js";
import { isNamed, knownNames, providerNames } from "./provider_names.js";

/** The rows of a list, as they change; those that are new to it are put in. */
export function liveList(visit: ConsoleVisit): Answer {
  return eventStream((sink) => new LiveList(visit, sink).open());
}

class LiveList {
  readonly #filter: Filter;
  /** Undefined for a page that nothing new comes to. */
  readonly #since: string | undefined;
  /** The ids of the rows that the page has. */
  readonly #shown: Set<string>;
  /** The newest state of those whose providers' names are still asked for, by id. */
  readonly #unnamed = new Map<string, Connection>();

  constructor(
    private readonly visit: ConsoleVisit,
    private readonly sink: StreamSink<string>,
  ) {
    const { query } = visit;
    this.#filter = filterOf(query);
    this.#since = query.get(sinceField) ?? undefined;
    this.#shown = new Set(query.getAll("id"));
  }

  open(): StreamSource {
    const request = { connectionIds: [...this.#shown], others: this.#since !== undefined };
    const stream = this.visit.open(ConnectionService.method.watchConnections, request, {
      send: ({ event }) => {
        if (event.case === "connection") return this.#tell(event.value);
        return event.case === undefined || this.#take(event.value);
      },
      // The browser comes back, and is told by the status of that answer when it may not.
      end: () => this.sink.end(),
    });
    // Followed before it is read again: nothing comes between the page and its stream.
    if (this.#since === "") void this.#readAgain();
    return stream;
  }

  async #readAgain(): Promise<void> {
    try {
      const { connections } = await rowsOf(this.visit, this.#filter, "");
      for (const connection of connections) this.#tell(connection);
    } catch {
      // Whoever may not read any more is told by the stream; what is new is put in when it changes next.
    }
  }

  #take(connectionId: string): boolean {
    this.#unnamed.delete(connectionId);
    if (!this.#shown.delete(connectionId)) return true;
    return this.sink.send(removeEvent(elementId(connectionId)));
  }

  #tell(connection: Connection): boolean {
    if (!this.#shown.has(connection.id) && !this.#isNew(connection)) return true;
    if (isNamed(this.visit.session, connection)) return this.#send(connection);
    this.#unnamed.set(connection.id, connection);
    void this.#name(connection);
    return true;
  }

  async #name(connection: Connection): Promise<void> {
    await providerNames(this.visit, [connection]);
    const newest = this.#unnamed.get(connection.id);
    if (newest && this.#unnamed.delete(connection.id)) this.#send(newest);
  }

  #send(connection: Connection): boolean {
    const { session, clock } = this.visit;
    const id = elementId(connection.id);
    const row = connectionRow(connection, { nameOf: knownNames(session), nowMs: clock.nowMs() });
    if (this.#shown.has(connection.id)) return this.sink.send(replaceEvent(id, row));
    this.#shown.add(connection.id);
    return this.sink.send(insertEvent(id, row));
  }

  #isNew(connection: Connection): boolean {
    const { status, createdAt, problem } = connection;
    if (this.#since === undefined || !isFound(connection, this.#filter.search)) return false;
    const wanted = statusOf(this.#filter.state);
    if (wanted !== ConnectionStatus.UNSPECIFIED && status !== wanted) return false;
    if (this.#since === "") return true;
    const sinceMs = Number(this.#since);
    // What goes wrong is new among those of a state, and stood among all before.
    const times = wanted === ConnectionStatus.UNSPECIFIED ? [createdAt] : [createdAt, problem?.since];
    return times.some((time) => time !== undefined && timestampMs(time) >= sinceMs);
  }
}
