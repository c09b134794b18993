import type { StreamSink, StreamSource } from "../../../runtime/stream_sink.js";
import { TimerWheel } from "../../../runtime/timer_wheel.js";
import type { Subscribers } from "./subscribers.js";
import type { WatchEvent, WatchOptions } from "./watch_event.js";
import { WatchFanout } from "./watch_fanout.js";
import { type OpeningDeps, positionOf, reconnectSpreadMs, stateOf, WatchOpening } from "./watch_opening.js";
import { type Followers, WatchStream } from "./watch_stream.js";

export interface TokenWatchDeps extends OpeningDeps {
  readonly subscribers: Subscribers;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The state stream: a snapshot or what changed since a position, then the newest state of whatever changes. */
export class TokenWatch {
  readonly #followers: Followers;

  constructor(private readonly deps: TokenWatchDeps) {
    const { subscribers, store, reader, readAudit, clock, random } = deps;
    this.#followers = {
      subscribers,
      fanout: new WatchFanout({ readAudit, stateOf: (id, view) => stateOf(reader, id, view) }),
      bookmarks: new TimerWheel(clock),
      position: (view) => positionOf(store, view),
      reconnectDelayMs: () => Math.round(reconnectSpreadMs * random()),
    };
  }

  /** Begins a stream. It ends, with a drain event, when the daemon drains. */
  open(options: WatchOptions, sink: StreamSink<WatchEvent>): StreamSource {
    const stream = new WatchStream(options, sink, this.#followers);
    // Subscribed before anything is read: what changes meanwhile is pending, not lost.
    this.deps.subscribers.subscribe(stream);
    stream.start(() => new WatchOpening(this.deps, options).runs());
    return stream;
  }
}
