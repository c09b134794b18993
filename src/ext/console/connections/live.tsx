import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { isFound } from "../../../model/connections/connection_search.js";
import type { StreamSink, StreamSource } from "../../../runtime/stream_sink.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import type { View } from "../../../server/views/view.js";
import { eventStream, insertEvent, removeEvent, replaceEvent } from "../kit/event_stream.js";
import { isNamed, knownNames, providerNames } from "../kit/names.js";
import type { PageRequest } from "../kit/request.js";
import { statusOf } from "../kit/words.js";
import { connectionRow, elementId } from "./connection_row.js";
import { type Filter, filterOf, findConnections, sinceField } from "./connections.js";

/** Follows one connection. @param elementOf draws it as the page did */
export function liveConnection(
  { open }: PageRequest,
  connectionId: string,
  elementOf: (connection: Connection) => View,
): Answer {
  return eventStream((sink) =>
    watch(open, { connectionIds: [connectionId] }, sink, {
      changed: (connection) => sink.send(replaceEvent(elementId(connection.id), elementOf(connection))),
      removed: (id) => sink.send(removeEvent(elementId(id))),
    }),
  );
}

function watch(
  open: PageRequest["open"],
  request: { readonly connectionIds: string[]; readonly others?: boolean },
  sink: StreamSink<string>,
  on: { changed(connection: Connection): boolean; removed(connectionId: string): boolean },
): StreamSource {
  return open(ConnectionService.method.watchConnections, request, {
    send: ({ event }) => {
      if (event.case === "connection") return on.changed(event.value);
      return event.case === undefined || on.removed(event.value);
    },
    // The browser comes back, and learns by the status of that answer when it may not.
    end: () => sink.end(),
  });
}

/** The rows of a list, as they change; those that are new to it are put in. */
export function liveList(request: PageRequest): Answer {
  return eventStream((sink) => new LiveList(request, sink).open());
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
    private readonly request: PageRequest,
    private readonly sink: StreamSink<string>,
  ) {
    const { query } = request;
    this.#filter = filterOf(query);
    this.#since = query.get(sinceField) ?? undefined;
    this.#shown = new Set(query.getAll("id"));
  }

  open(): StreamSource {
    const wanted = { connectionIds: [...this.#shown], others: this.#since !== undefined };
    const stream = watch(this.request.open, wanted, this.sink, {
      changed: (connection) => this.#show(connection),
      removed: (id) => this.#remove(id),
    });
    // Followed before it is read again: nothing comes between the page and its stream.
    if (this.#since === "") void this.#readAgain();
    return stream;
  }

  async #readAgain(): Promise<void> {
    try {
      const { connections } = await findConnections(this.request, this.#filter, "");
      for (const connection of connections) this.#show(connection);
    } catch {
      // Whoever may not read any more learns it by the stream; what is new is put in when it changes next.
    }
  }

  #remove(connectionId: string): boolean {
    this.#unnamed.delete(connectionId);
    if (!this.#shown.delete(connectionId)) return true;
    return this.sink.send(removeEvent(elementId(connectionId)));
  }

  #show(connection: Connection): boolean {
    if (!this.#shown.has(connection.id) && !this.#isNew(connection)) return true;
    if (isNamed(this.request.session, connection)) return this.#send(connection);
    this.#unnamed.set(connection.id, connection);
    void this.#name(connection);
    return true;
  }

  async #name(connection: Connection): Promise<void> {
    await providerNames(this.request, [connection]);
    const newest = this.#unnamed.get(connection.id);
    if (newest && this.#unnamed.delete(connection.id)) this.#send(newest);
  }

  #send(connection: Connection): boolean {
    const { session, clock, may } = this.request;
    const id = elementId(connection.id);
    const canSelect = may("connection.manage");
    const row = connectionRow(connection, { nameOf: knownNames(session), nowMs: clock.nowMs(), canSelect });
    if (this.#shown.has(connection.id)) return this.sink.send(replaceEvent(id, row));
    this.#shown.add(connection.id);
    return this.sink.send(insertEvent(id, row));
  }

  #isNew(connection: Connection): boolean {
    const { status, createdAt, problem, userId, providerId } = connection;
    const { search, state, user, provider } = this.#filter;
    if (this.#since === undefined || !isFound(connection, search)) return false;
    if ((user !== "" && user !== userId) || (provider !== "" && provider !== providerId)) return false;
    const wanted = statusOf(state);
    if (wanted !== ConnectionStatus.UNSPECIFIED && status !== wanted) return false;
    if (this.#since === "") return true;
    const sinceMs = Number(this.#since);
    // What goes wrong is new among those of a state, and stood among all before.
    const times = wanted === ConnectionStatus.UNSPECIFIED ? [createdAt] : [createdAt, problem?.since];
    return times.some((time) => time !== undefined && timestampMs(time) >= sinceMs);
  }
}
