import { hasUsableToken } from "../../model/connections/connection.js";
import { type NameParts, nameKey } from "../../model/connections/connection_name.js";
import { Unavailable } from "../../model/errors.js";
import { type Clock, delay } from "../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import type { Change } from "../../store/records/log_codec.js";
import type { Store } from "../../store/store.js";
import type { View } from "../access/access_control.js";
import type { SeenIds } from "../access/seen_ids.js";
import type { CredentialReader } from "../credentials/credential_reader.js";
import type { ReadAudit } from "./read_audit.js";
import { TimerWheel } from "./timer_wheel.js";
import type { WatchEvent, WatchOptions, WatchPosition } from "./watch_event.js";
import { WatchFanout } from "./watch_fanout.js";
import type { WatchFilter, WatchHub } from "./watch_hub.js";
import { type Followers, WatchStream } from "./watch_stream.js";

/** Records read from the store at a time while a snapshot is sent. */
const page = 256;
/** So many are read from the log as they are. */
const fewChanges = 16n;
/** A stream that begins ahead of this daemon waits so long for it, and looks this often. */
const aheadWaitMs = 2_000;
const aheadStepMs = 25;
/** Clients that were drained come back within this time, each at its own moment. */
const reconnectSpreadMs = 1_000;

type WatchStore = Pick<
  Store,
  | "epoch"
  | "role"
  | "settledRevision"
  | "floorRevision"
  | "getConnection"
  | "getStoredConnection"
  | "listConnections"
  | "idsNamed"
  | "changesSince"
  | "removalsSince"
>;

/** The state stream: a snapshot or what changed since a position, then the newest state of whatever changes. */
export class TokenWatch {
  readonly #store: WatchStore;
  readonly #reader: Pick<CredentialReader, "view">;
  readonly #hub: WatchHub;
  readonly #readAudit: Pick<ReadAudit, "read" | "announce">;
  readonly #clock: Clock;
  readonly #seen: Pick<SeenIds, "has" | "idsOf">;
  readonly #followers: Followers;

  constructor(options: {
    store: WatchStore;
    reader: Pick<CredentialReader, "view">;
    hub: WatchHub;
    readAudit: Pick<ReadAudit, "read" | "announce">;
    clock: Clock;
    seen: Pick<SeenIds, "has" | "idsOf">;
    random: () => number;
  }) {
    this.#store = options.store;
    this.#reader = options.reader;
    this.#hub = options.hub;
    this.#readAudit = options.readAudit;
    this.#clock = options.clock;
    this.#seen = options.seen;
    const { hub, clock, random } = options;
    this.#followers = {
      hub,
      fanout: new WatchFanout({
        readAudit: options.readAudit,
        stateOf: (id, view) => this.#stateOf(id, view),
      }),
      bookmarks: new TimerWheel(clock),
      position: (view) => this.#position(view),
      reconnectDelayMs: () => Math.round(reconnectSpreadMs * random()),
    };
  }

  /** Begins a stream. It ends, with a drain event, when the hub drains. */
  open(options: WatchOptions, sink: StreamSink<WatchEvent>): StreamSource {
    const stream = new WatchStream(options, sink, this.#followers);
    // Subscribed before anything is read: what changes meanwhile is pending, not lost.
    this.#hub.subscribe(stream);
    stream.start(() => this.#opening(options));
    return stream;
  }

  async *#opening(options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { view } = options;
    if (options.position) await this.#catchUp(options.position, view);
    const reset = options.position && this.#cannotResume(options.position, view);
    if (reset) yield { kind: "reset", reason: reset };
    const start = this.#position(view);
    if (options.position && !reset) yield* this.#changesSince(options.position.revision, options);
    else yield* this.#snapshot(options);
    yield { kind: "bookmark", position: start };
  }

  async *#snapshot(options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { view } = options;
    if (options.connectionIds) {
      const named = (options.names ?? []).flatMap((name) => this.#idsNamed(name, view));
      const ids = [...new Set([...options.connectionIds, ...named])];
      for (const [index, id] of ids.entries()) {
        const userId = this.#store.getConnection(id)?.userId;
        if (userId !== undefined && !matches(options, userId)) yield { kind: "removed", connectionId: id };
        else yield await this.#state(id, options, () => ids.slice(index + 1, index + page));
      }
      return;
    }
    const seen = await this.#seen.idsOf(view);
    if (seen) yield* this.#states(this.#visible([...seen].sort(), options), options);
    else yield* this.#wholeSnapshot(options);
  }

  async *#wholeSnapshot(options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { view } = options;
    let afterId: string | undefined;
    for (;;) {
      const connections = this.#store.listConnections({ limit: page, afterId });
      afterId = connections.at(-1)?.id;
      const ids = connections
        .filter((connection) => matches(options, connection.userId) && view.seesConnection(connection))
        .map(({ id }) => id);
      yield* this.#states(ids, options);
      if (connections.length < page) return;
      await othersTurn();
    }
  }

  /** Of those that the watcher may see: of the others it is not told that they do not exist. */
  #idsNamed(name: NameParts, view: WatchOptions["view"]): string[] {
    return [...this.#store.idsNamed(name)].filter((id) => {
      const connection = this.#store.getConnection(id);
      return connection !== undefined && view.seesConnection(connection);
    });
  }

  /** What changed in any order: a stream that names few looks these up where more than that changed. */
  async *#changesSince(revision: bigint, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const ids = await this.#fewIds(revision, options);
    if (ids) {
      yield* this.#states(this.#visible(ids, options, revision), options);
      yield* this.#loggedChangesSince(revision, options, (after) => this.#store.removalsSince(after, page));
    } else
      yield* this.#loggedChangesSince(revision, options, (after) => this.#store.changesSince(after, page));
  }

  /**
   * What the stream is about, where that is less than what changed: the cost of a resume grows with it then, and with removals, of
   * which the store remembers a bounded number.
   */
  async #fewIds(revision: bigint, options: WatchOptions): Promise<readonly string[] | undefined> {
    const { connectionIds, names = [], view } = options;
    const changes = this.#store.settledRevision - revision;
    if (connectionIds) {
      if (connectionIds.size + names.length >= changes) return undefined;
      return [...new Set([...connectionIds, ...names.flatMap((name) => this.#idsNamed(name, view))])];
    }
    // Few changes are read sooner than the whole log once.
    if (changes < page && !(changes > fewChanges && this.#seen.has(view))) return undefined;
    const seen = await this.#seen.idsOf(view);
    return seen && [...seen];
  }

  /** Those that the watcher may see, and that changed since. */
  #visible(ids: readonly string[], options: WatchOptions, since = -1n): string[] {
    return ids.filter((id) => {
      const stored = this.#store.getStoredConnection(id);
      if (!stored || stored.changeRevision <= since) return false;
      return matches(options, stored.connection.userId) && options.view.seesConnection(stored.connection);
    });
  }

  async *#states(ids: readonly string[], options: WatchOptions): AsyncGenerator<WatchEvent> {
    for (const [index, id] of ids.entries()) {
      // One that is gone meanwhile is a removal, or was never told of.
      if (!this.#store.getConnection(id)) continue;
      yield await this.#state(id, options, () => ids.slice(index + 1, index + page));
    }
  }

  async *#loggedChangesSince(
    revision: bigint,
    options: WatchOptions,
    read: (after: bigint) => readonly Change[],
  ): AsyncGenerator<WatchEvent> {
    const { view } = options;
    const names = new Set(options.names?.map(nameKey));
    let after = revision;
    for (;;) {
      // A reader may take so long that removals it was not told of are forgotten meanwhile.
      if (after < this.#store.floorRevision) {
        yield { kind: "reset", reason: "position_too_old" };
        yield* this.#snapshot(options);
        return;
      }
      const changes = read(after);
      after = changes.at(-1)?.revision ?? after;
      const ids = changes
        .filter((change) => {
          const isNamed = names.size > 0 && names.has(nameKey(change));
          if (options.connectionIds && !options.connectionIds.has(change.connectionId) && !isNamed)
            return false;
          return matches(options, change.userId) && view.seesChange(change);
        })
        .map(({ connectionId }) => connectionId);
      for (const [index, id] of ids.entries()) {
        yield await this.#state(id, options, () => ids.slice(index + 1));
      }
      if (changes.length < page) return;
      await othersTurn();
    }
  }

  /**
   * The newest state, its token on record. What is sent next is announced to the audit, so that all of it shares a commit; the state
   * is read again after that, since it may have changed.
   */
  async #state(
    connectionId: string,
    options: WatchOptions,
    next: () => readonly string[],
  ): Promise<WatchEvent> {
    let recordedRevision: bigint | undefined;
    for (;;) {
      const event = this.#stateOf(connectionId, options.view);
      if (event.kind !== "state" || !event.view.token) return event;
      const { revision } = event.view.token;
      if (revision === recordedRevision) return event;
      const recorded = this.#readAudit.read(options.principal, connectionId, revision);
      if (!recorded) return event;
      recordedRevision = revision;
      for (const id of next()) this.#announce(id, options);
      await recorded;
    }
  }

  #announce(connectionId: string, options: WatchOptions): void {
    const connection = this.#store.getConnection(connectionId);
    if (!connection || !hasUsableToken(connection, this.#clock.nowMs())) return;
    // What was named and is not to be had is never read.
    if (!matches(options, connection.userId) || !options.view.seesConnection(connection)) return;
    void this.#readAudit.announce(options.principal, connectionId, connection.credentialRevision);
  }

  #stateOf(connectionId: string, { seesConnection }: Pick<View, "seesConnection">): WatchEvent {
    const view = this.#reader.view(connectionId);
    if (!view || !seesConnection(view.connection)) return { kind: "removed", connectionId };
    return { kind: "state", view };
  }

  #position({ epochOf }: Pick<View, "epochOf">): WatchPosition {
    return { epoch: epochOf(this.#store.epoch), revision: this.#store.settledRevision };
  }

  /**
   * One of many may be asked for what another one has told already: that is on its way here.
   *
   * @throws Unavailable when it does not come in time
   */
  async #catchUp(position: WatchPosition, { epochOf }: Pick<View, "epochOf">): Promise<void> {
    const isAhead = (): boolean =>
      this.#store.role !== "single" &&
      position.epoch === epochOf(this.#store.epoch) &&
      position.revision > this.#store.settledRevision;
    for (let waitedMs = 0; isAhead(); waitedMs += aheadStepMs) {
      if (waitedMs >= aheadWaitMs) {
        throw new Unavailable(
          "the position is ahead of this daemon, which lags behind: ask again",
          reconnectSpreadMs,
        );
      }
      await delay(this.#clock, aheadStepMs);
    }
  }

  #cannotResume(
    position: WatchPosition,
    { epochOf }: Pick<View, "epochOf">,
  ): "epoch_changed" | "position_too_old" | undefined {
    if (position.epoch !== epochOf(this.#store.epoch) || position.revision > this.#store.settledRevision)
      return "epoch_changed";
    return position.revision < this.#store.floorRevision ? "position_too_old" : undefined;
  }
}

/** Lets other work run between pages: thousands of them may lie between two connections of one user. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function matches(filter: Pick<WatchFilter, "userId">, userId: string): boolean {
  return filter.userId === undefined || filter.userId === userId;
}
