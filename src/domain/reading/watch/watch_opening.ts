import { type Connection, hasUsableToken } from "../../../model/connections/connection.js";
import { type NameParts, nameKey } from "../../../model/connections/connection_name.js";
import { Unavailable } from "../../../model/errors.js";
import { type Clock, delay } from "../../../runtime/clock.js";
import type { Change } from "../../../store/records/log_codec.js";
import type { Store } from "../../../store/store.js";
import type { SeenIds, Sight } from "../../access/access.js";
import type { CredentialReader } from "../../connections/connections.js";
import type { ReadAudit } from "../read_audit.js";
import type { WatchEvent, WatchOptions, WatchPosition } from "./watch_event.js";

/** Ids read from the store at a time, and reads that are put on record in one commit, at most. */
const page = 64;
/** So many are read from the log as they are. */
const fewChanges = 16n;
/** A stream that begins ahead of this daemon waits so long for it, and looks this often. */
const aheadWaitMs = 2_000;
const aheadStepMs = 25;
/** Clients that were drained, or came too early, come back within this time. */
export const reconnectSpreadMs = 1_000;

export type WatchStore = Pick<
  Store,
  | "epoch"
  | "role"
  | "settledRevision"
  | "floorRevision"
  | "getConnection"
  | "getStoredConnection"
  | "connectionIds"
  | "idsNamed"
  | "changesSince"
  | "removalsSince"
>;

export interface OpeningDeps {
  readonly store: WatchStore;
  readonly reader: Pick<CredentialReader, "view" | "viewIf">;
  readonly readAudit: Pick<ReadAudit, "read" | "announce">;
  readonly seen: SeenIds;
  readonly clock: Clock;
}

/** Events of which each is read from the store as it is sent: at no moment more than one is held. */
type Run = Iterable<WatchEvent>;

/** How far the states of some connections were sent. */
interface Progress {
  /** Index of the first that was not. */
  next: number;
  /** The read of its token that is put on record. */
  read: { readonly revision: bigint; readonly recorded: Promise<void> } | undefined;
}

/** What a stream is sent before it follows: a snapshot or what changed since its position, then a bookmark. */
export class WatchOpening {
  constructor(
    private readonly deps: OpeningDeps,
    private readonly options: WatchOptions,
  ) {}

  async *runs(): AsyncGenerator<Run> {
    const { position } = this.options;
    if (position) await this.#catchUp(position);
    const reset = position && this.#cannotResume(position);
    if (reset) yield [{ kind: "reset", reason: reset }];
    const start = positionOf(this.deps.store, this.options.view);
    if (position && !reset) yield* this.#changesSince(position.revision);
    else yield* this.#snapshot();
    yield [{ kind: "bookmark", position: start }];
  }

  async *#snapshot(): AsyncGenerator<Run> {
    const { connectionIds, names = [], view } = this.options;
    if (connectionIds) {
      const named = names.flatMap((name) => this.#idsNamed(name));
      yield* this.#states([...new Set([...connectionIds, ...named])], (id) => this.#stateOfNamed(id));
      return;
    }
    const seen = await this.deps.seen.idsOf(view);
    if (seen) yield* this.#states([...seen].sort(), (id) => this.#stateOfPresent(id));
    else yield* this.#wholeSnapshot();
  }

  async *#wholeSnapshot(): AsyncGenerator<Run> {
    let afterId: string | undefined;
    for (;;) {
      const ids = this.deps.store.connectionIds(afterId, page);
      yield* this.#states(ids, (id) => this.#stateOfPresent(id));
      if (ids.length < page) return;
      afterId = ids.at(-1);
      await othersTurn();
    }
  }

  /** Of those that the watcher may see: it does not learn whether the others exist. */
  #idsNamed(name: NameParts): string[] {
    return [...this.deps.store.idsNamed(name)].filter((id) => {
      const connection = this.deps.store.getConnection(id);
      return connection !== undefined && this.options.view.seesConnection(connection);
    });
  }

  /** What changed in any order: what the stream is about is looked up where more than that changed. */
  async *#changesSince(revision: bigint): AsyncGenerator<Run> {
    const { store } = this.deps;
    const ids = await this.#fewIds(revision);
    if (ids) {
      yield* this.#states(this.#changedOf(ids, revision), (id) => this.#stateOf(id));
      yield* this.#loggedChangesSince(revision, (after) => store.removalsSince(after, page));
    } else yield* this.#loggedChangesSince(revision, (after) => store.changesSince(after, page));
  }

  /**
   * What the stream is about, if that is less than what changed. The cost of a resume then grows with it, and with removals, of which the
   * store remembers a bounded number.
   */
  async #fewIds(revision: bigint): Promise<readonly string[] | undefined> {
    const { store, seen } = this.deps;
    const { connectionIds, names = [], view } = this.options;
    const changes = store.settledRevision - revision;
    if (connectionIds) {
      if (connectionIds.size + names.length >= changes) return undefined;
      return [...new Set([...connectionIds, ...names.flatMap((name) => this.#idsNamed(name))])];
    }
    // Few changes are read sooner than the whole log once.
    if (changes < page && !(changes > fewChanges && seen.has(view))) return undefined;
    const ids = await seen.idsOf(view);
    return ids && [...ids];
  }

  #changedOf(ids: readonly string[], since: bigint): string[] {
    return ids.filter((id) => {
      const stored = this.deps.store.getStoredConnection(id);
      return stored !== undefined && stored.changeRevision > since && this.#isReported(stored.connection);
    });
  }

  async *#loggedChangesSince(
    revision: bigint,
    read: (after: bigint) => readonly Change[],
  ): AsyncGenerator<Run> {
    const { connectionIds, view } = this.options;
    const names = new Set(this.options.names?.map(nameKey));
    let after = revision;
    for (;;) {
      // A reader may take so long that removals which it has not received are forgotten meanwhile.
      if (after < this.deps.store.floorRevision) {
        yield [{ kind: "reset", reason: "position_too_old" }];
        yield* this.#snapshot();
        return;
      }
      const changes = read(after);
      after = changes.at(-1)?.revision ?? after;
      const ids = changes
        .filter((change) => {
          const isNamed = names.size > 0 && names.has(nameKey(change));
          if (connectionIds && !connectionIds.has(change.connectionId) && !isNamed) return false;
          return this.#isWanted(change) && view.seesChange(change);
        })
        .map(({ connectionId }) => connectionId);
      yield* this.#states(ids, (id) => this.#stateOf(id));
      if (changes.length < page) return;
      await othersTurn();
    }
  }

  /**
   * The newest states, each with its token on record. Reads that are none yet are put there before any of them, in one commit; the states
   * are read after that, since they may have changed.
   *
   * @param stateOf undefined for what nothing is sent of
   */
  async *#states(
    ids: readonly string[],
    stateOf: (connectionId: string) => WatchEvent | undefined,
  ): AsyncGenerator<Run> {
    const progress: Progress = { next: 0, read: undefined };
    while (progress.next < ids.length) {
      yield this.#onRecord(ids, stateOf, progress);
      const { next, read } = progress;
      if (read === undefined) continue;
      for (const id of ids.slice(next + 1, next + page)) this.#announce(id);
      await read.recorded;
    }
  }

  /** Ends at a token whose read is not on record. */
  *#onRecord(
    ids: readonly string[],
    stateOf: (connectionId: string) => WatchEvent | undefined,
    progress: Progress,
  ): Generator<WatchEvent> {
    const { readAudit } = this.deps;
    const { principal } = this.options;
    for (; progress.next < ids.length; progress.next++) {
      const id = ids[progress.next] ?? "";
      const event = stateOf(id);
      if (event === undefined) continue;
      const revision = event.kind === "state" ? event.view.token?.revision : undefined;
      if (revision !== undefined && revision !== progress.read?.revision) {
        const recorded = readAudit.read(principal, id, revision);
        progress.read = recorded && { revision, recorded };
        if (recorded !== undefined) return;
      }
      progress.read = undefined;
      yield event;
    }
  }

  #announce(connectionId: string): void {
    const { store, clock, readAudit } = this.deps;
    const connection = store.getConnection(connectionId);
    // What was named and is not to be had is never read.
    if (!connection || !hasUsableToken(connection, clock.nowMs()) || !this.#isReported(connection)) return;
    void readAudit.announce(this.options.principal, connectionId, connection.credentialRevision);
  }

  #stateOfNamed(connectionId: string): WatchEvent {
    const connection = this.deps.store.getConnection(connectionId);
    if (connection && !this.#isWanted(connection)) return { kind: "removed", connectionId };
    return this.#stateOf(connectionId);
  }

  /** Nothing is sent of one that is gone meanwhile. */
  #stateOfPresent(connectionId: string): WatchEvent | undefined {
    const view = this.deps.reader.viewIf(connectionId, this.#isReported);
    return view && { kind: "state", view };
  }

  readonly #isReported = (connection: Connection): boolean =>
    this.#isWanted(connection) && this.options.view.seesConnection(connection);

  #stateOf(connectionId: string): WatchEvent {
    return stateOf(this.deps.reader, connectionId, this.options.view);
  }

  #isWanted({ userId }: { readonly userId: string }): boolean {
    return this.options.userId === undefined || this.options.userId === userId;
  }

  /**
   * A watcher of many may request what another one has sent already: that is on its way here.
   *
   * @throws Unavailable when it does not come in time
   */
  async #catchUp(position: WatchPosition): Promise<void> {
    const { store, clock } = this.deps;
    const isAhead = (): boolean =>
      store.role !== "single" &&
      position.epoch === this.options.view.epochOf(store.epoch) &&
      position.revision > store.settledRevision;
    for (let waitedMs = 0; isAhead(); waitedMs += aheadStepMs) {
      if (waitedMs >= aheadWaitMs) {
        throw new Unavailable(
          "the position is ahead of this daemon, which lags behind: ask again",
          reconnectSpreadMs,
        );
      }
      await delay(clock, aheadStepMs);
    }
  }

  #cannotResume({ epoch, revision }: WatchPosition): "epoch_changed" | "position_too_old" | undefined {
    const { store } = this.deps;
    if (epoch !== this.options.view.epochOf(store.epoch) || revision > store.settledRevision)
      return "epoch_changed";
    return revision < store.floorRevision ? "position_too_old" : undefined;
  }
}

/** The newest state of a connection; what the watcher may not see is to it as what does not exist. */
export function stateOf(
  reader: OpeningDeps["reader"],
  connectionId: string,
  { seesConnection }: Sight,
): WatchEvent {
  const view = reader.view(connectionId);
  if (!view || !seesConnection(view.connection)) return { kind: "removed", connectionId };
  return { kind: "state", view };
}

/** Where the store stands, as a watcher sees it. */
export function positionOf(store: WatchStore, { epochOf }: Sight): WatchPosition {
  return { epoch: epochOf(store.epoch), revision: store.settledRevision };
}

/** Lets other work run between pages: thousands of them may lie between two connections of one user. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
