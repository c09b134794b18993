import type { Principal } from "../../../model/access/principal.js";
import { pumpRuns, type StreamSink, type StreamSource } from "../../../runtime/stream_sink.js";
import type { BookmarkMember, TimerWheel } from "../../../runtime/timer_wheel.js";
import type { Sight } from "../../access/access.js";
import { readerOf } from "../read_audit.js";
import type { Subscriber, Subscribers, WatchFilter } from "./subscribers.js";
import type { WatchEvent, WatchOptions, WatchPosition } from "./watch_event.js";
import type { FanoutStream, WatchFanout } from "./watch_fanout.js";

/** What all streams that follow share. */
export interface Followers {
  readonly subscribers: Subscribers;
  readonly fanout: WatchFanout;
  readonly bookmarks: TimerWheel;
  position(view: Sight): WatchPosition;
  /** Of a client that is drained, each another. */
  reconnectDelayMs(): number;
}

/** Connections that a stream asks for at a time: a commit may change thousands of them, which all the streams ask for at once. */
const maxDeliveries = 64;

/**
 * One stream: at first it sends what its opening yields, then it follows. While it follows it is this object and nothing else: which
 * connections changed, while its reader has no room for them, and where it stands in the wheel of bookmarks.
 */
export class WatchStream implements Subscriber, StreamSource, FanoutStream, BookmarkMember {
  readonly filter: WatchFilter;
  readonly principal: Principal;
  readonly reader: string;
  readonly view: Sight;
  readonly #bookmarkIntervalMs: number;
  readonly #sink: StreamSink<WatchEvent>;
  readonly #followers: Followers;
  /** Set until it follows. */
  #opening: StreamSource | undefined;
  /** One slot for each connection: the newest state is read when the slot is emptied. */
  #pending: Set<string> | undefined;
  /** Fan-outs that it waits for. */
  #deliveries = 0;
  #hasRoom = true;
  #isBookmarkDue = false;
  /** Of the bookmark that waits for the deliveries under way; what changes meanwhile is pending, else there would be deliveries without end. */
  #bookmark: WatchPosition | undefined;
  /** In the wheel of bookmarks; 0 when it is not there. */
  #slot = 0;
  #isOver = false;

  constructor(options: WatchOptions, sink: StreamSink<WatchEvent>, followers: Followers) {
    const { connectionIds, names = [], userId, view } = options;
    this.filter = { connectionIds, names, userId, sees: view.seesChange };
    this.principal = options.principal;
    this.reader = readerOf(options.principal);
    this.view = view;
    this.#bookmarkIntervalMs = options.bookmarkIntervalMs;
    this.#sink = sink;
    this.#followers = followers;
  }

  start(opening: () => AsyncIterable<Iterable<WatchEvent>>): void {
    this.#opening = pumpRuns(opening, {
      send: (event) => this.#send(event),
      end: (error) => (error === undefined ? this.#follow() : this.fail(error)),
    });
  }

  mark(connectionId: string): void {
    if (this.#isOver) return;
    if (this.#canJoin) this.#followers.fanout.subscribe(connectionId, this);
    else this.#remember(connectionId);
  }

  get isReading(): boolean {
    return this.#canJoin && !this.#isOver;
  }

  get #canJoin(): boolean {
    return this.#hasRoom && !this.#opening && !this.#bookmark && this.#deliveries < maxDeliveries;
  }

  wake(): void {
    this.#settle();
  }

  bookmarkDue(): void {
    this.#slot = 0;
    this.#isBookmarkDue = true;
    this.#settle();
  }

  subscribed(): void {
    this.#deliveries++;
  }

  leave(connectionId: string): boolean {
    this.#deliveries--;
    if (this.#isOver) return false;
    if (!this.#hasRoom) {
      this.#remember(connectionId);
      this.#bookmark = undefined;
    }
    return this.#hasRoom;
  }

  deliver(event: WatchEvent): void {
    if (this.#isOver) return;
    this.#send(event);
    if (this.#pending || this.#isBookmarkDue) this.#settle();
  }

  resume(): void {
    this.#hasRoom = true;
    if (this.#opening) this.#opening.resume();
    else this.#settle();
  }

  cancel(): void {
    this.#opening?.cancel();
    this.#finish();
  }

  fail(error: unknown): void {
    this.#opening?.cancel();
    if (this.#finish()) this.#sink.end(error);
  }

  #follow(): void {
    this.#opening = undefined;
    this.#awaitBookmark();
    this.#settle();
  }

  /** Does what is due and was not possible before. */
  #settle(): void {
    if (this.#isOver || this.#opening) return;
    if (this.#followers.subscribers.draining) this.#sendDrain();
    else if (!this.#hasRoom) return;
    else if (this.#bookmark) this.#sendBookmark(this.#bookmark);
    else if (this.#pending) this.#catchUp(this.#pending);
    else if (this.#isBookmarkDue) {
      // Nothing is pending at this moment, and every settled change was marked before: all of them were sent, or are in a delivery.
      this.#bookmark = this.#followers.position(this.view);
      this.#sendBookmark(this.#bookmark);
    }
  }

  #sendBookmark(position: WatchPosition): void {
    if (this.#deliveries > 0) return;
    this.#bookmark = undefined;
    this.#isBookmarkDue = false;
    this.#awaitBookmark();
    this.#send({ kind: "bookmark", position });
    if (this.#pending) this.#settle();
  }

  #catchUp(pending: Set<string>): void {
    for (const connectionId of pending) {
      if (this.#deliveries >= maxDeliveries) return;
      pending.delete(connectionId);
      this.#followers.fanout.subscribe(connectionId, this);
    }
    this.#pending = undefined;
  }

  #sendDrain(): void {
    this.#send({ kind: "drain", reconnectDelayMs: this.#followers.reconnectDelayMs() });
    if (this.#finish()) this.#sink.end();
  }

  #send(event: WatchEvent): boolean {
    try {
      this.#hasRoom = this.#sink.send(event);
    } catch (error) {
      // The caller has other streams to notify.
      this.fail(error);
    }
    return this.#hasRoom;
  }

  #remember(connectionId: string): void {
    this.#pending ??= new Set();
    this.#pending.add(connectionId);
  }

  #awaitBookmark(): void {
    this.#slot = this.#followers.bookmarks.add(this, this.#bookmarkIntervalMs);
  }

  /** @returns whether it was not over before */
  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#opening = undefined;
    this.#pending = undefined;
    this.#followers.subscribers.unsubscribe(this);
    if (this.#slot > 0) this.#followers.bookmarks.delete(this, this.#slot);
    return true;
  }
}
