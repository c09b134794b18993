import { describe, expect, it } from "vitest";
import {
  type ConnectionEvent,
  ConnectionWatch,
} from "../../../../src/domain/reading/watch/connection_watch.js";
import { Subscribers } from "../../../../src/domain/reading/watch/subscribers.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import { Unavailable } from "../../../../src/model/errors.js";
import { newId } from "../../../../src/model/ids.js";
import { Changes } from "../../../../src/runtime/changes.js";
import type { StreamSource } from "../../../../src/runtime/stream_sink.js";
import { perTest } from "../../../lifetimes.js";
import { aConnection, seesAll } from "../../../samples.js";

class Watched {
  readonly changes = new Changes();
  readonly subscribers = new Subscribers({ changes: this.changes });
  readonly stored = new Map<string, Connection>();
  readonly events: ConnectionEvent[] = [];
  readonly ends: unknown[] = [];
  readonly watch = new ConnectionWatch({
    subscribers: this.subscribers,
    store: { getConnection: (id) => this.stored.get(id) },
  });
  /** Whether the reader has room after each message. */
  hasRoom = true;
  hidden: string | undefined;

  put(change: Partial<Connection>): Connection {
    const connection = aConnection(change);
    this.stored.set(connection.id, connection);
    return connection;
  }

  announce({ id: connectionId, userId, providerId, label }: Connection): void {
    this.changes.emit("connections", [{ connectionId, userId, providerId, label, dueAtMs: undefined }]);
  }

  open(...ids: string[]): StreamSource {
    return this.openWith(false, ids);
  }

  openWith(others: boolean, connectionIds: readonly string[]): StreamSource {
    const sees = (userId: string): boolean => userId !== this.hidden;
    const view = {
      ...seesAll,
      seesChange: ({ userId }: { readonly userId: string }) => sees(userId),
      seesConnection: ({ userId }: { readonly userId: string }) => sees(userId),
    };
    return this.watch.open({ connectionIds, others }, view, {
      send: (event) => {
        this.events.push(event);
        return this.hasRoom;
      },
      end: (error) => void this.ends.push(error),
    });
  }

  get told(): (readonly [string, string | undefined])[] {
    return this.events.map(({ connectionId, connection }) => [connectionId, connection?.status]);
  }
}

describe("a stream of connections", () => {
  const watched = perTest(() => new Watched());

  it("begins with the state of those that are named, and tells their changes alone", () => {
    const named = watched.put({ status: "pending" });
    const other = watched.put({ status: "active" });
    const gone = newId();
    watched.open(named.id, gone);
    expect(watched.told).toEqual([
      [named.id, "pending"],
      [gone, undefined],
    ]);
    watched.announce(watched.put({ ...named, status: "active" }));
    watched.announce(other);
    expect(watched.told.slice(2)).toEqual([[named.id, "active"]]);
  });

  it("begins with the state of those that are named, and tells the changes of the others too", () => {
    const named = watched.put({ status: "pending" });
    watched.put({ status: "attention" });
    watched.openWith(true, [named.id]);
    expect(watched.told).toEqual([[named.id, "pending"]]);
    const made = watched.put({ id: newId(), status: "active" });
    watched.announce(made);
    watched.announce(watched.put({ ...named, status: "active" }));
    expect(watched.told.slice(1)).toEqual([
      [made.id, "active"],
      [named.id, "active"],
    ]);
  });

  it("tells the changes of all when none is named, and no states before", () => {
    const first = watched.put({});
    watched.open();
    expect(watched.told).toEqual([]);
    watched.announce(first);
    watched.stored.delete(first.id);
    watched.announce(first);
    expect(watched.told).toEqual([
      [first.id, "pending"],
      [first.id, undefined],
    ]);
  });

  it("tells changes without room as one, when there is room", () => {
    const connection = watched.put({ status: "pending" });
    watched.hasRoom = false;
    const source = watched.open(connection.id);
    for (const status of ["active", "attention"] as const)
      watched.announce(watched.put({ ...connection, status }));
    expect(watched.told).toEqual([[connection.id, "pending"]]);
    source.resume();
    expect(watched.told.slice(1)).toEqual([[connection.id, "attention"]]);
  });

  it("answers what its caller may not see as what is gone", () => {
    const connection = watched.put({ userId: "mallory" });
    watched.hidden = "mallory";
    watched.open(connection.id);
    watched.announce(connection);
    expect(watched.told).toEqual([[connection.id, undefined]]);
  });

  it("leaves the subscribers when its reader leaves, and sends nothing more", () => {
    const connection = watched.put({});
    const source = watched.open(connection.id);
    expect(watched.subscribers.size).toBe(1);
    source.cancel();
    source.resume();
    watched.announce(connection);
    expect([watched.subscribers.size, watched.events.length, watched.ends]).toEqual([0, 1, []]);
  });

  it("ends when the daemon does", async () => {
    watched.open(watched.put({}).id);
    await watched.subscribers.drain();
    expect(watched.ends).toEqual([expect.any(Unavailable)]);
  });
});
