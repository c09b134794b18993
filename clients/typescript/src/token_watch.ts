import type { Clock, Timer } from "./strategies/clock.js";
import type { TokenCache } from "./token_cache.js";
import type { TokenName } from "./token_name.js";
import { WatchRun, type WatchTokens } from "./watch_run.js";

/** New names of this time open one stream together. */
const gatherMs = 100;
/** What refuses a stream stays until a person changes something. */
const refusedMs = 60_000;

interface Deps {
  readonly clock: Clock;
  readonly cache: TokenCache;
  readonly watchTokens: WatchTokens;
}

/** The one stream of a client: it carries the names of the cache. */
export class TokenWatch {
  /** The stream in use, and the one that takes its place with its first message. */
  #current: WatchRun | undefined;
  #next: WatchRun | undefined;
  #gathering: Timer | undefined;
  /** By the monotonic clock: when a stream that was refused may be opened again. */
  #waitsUntilMs = 0;
  #isClosed = false;

  constructor(private readonly deps: Deps) {}

  /** Has the stream carry the name; call it when the daemon has taken the name. */
  add(name: TokenName): void {
    const { cache, clock } = this.deps;
    if (this.#isClosed) return;
    const isNew = cache.want(name);
    // A stream that was refused is asked for again once a call succeeded.
    if (!isNew && (this.#current || this.#next || !cache.has(name.key))) return;
    const delayMs = Math.max(gatherMs, this.#waitsUntilMs - clock.monotonicMs());
    this.#gathering ??= clock.setTimer(delayMs, () => this.#open());
  }

  /** Whether a stream lives that has told all there was. */
  get isLive(): boolean {
    return this.#current?.isLive === true || this.#next?.isLive === true;
  }

  close(): void {
    this.#isClosed = true;
    this.#gathering?.cancel();
    this.#current?.end();
    this.#next?.end();
  }

  #open(): void {
    this.#gathering = undefined;
    this.#next?.end();
    const run: WatchRun = new WatchRun(this.deps, () => this.#takeOver(run));
    this.#next = run;
    void run.run().then((isRefused) => {
      if (this.#next === run) this.#next = undefined;
      if (this.#current === run) this.#current = undefined;
      if (!isRefused) return;
      this.#waitsUntilMs = this.deps.clock.monotonicMs() + refusedMs;
      if (!this.#current) this.deps.cache.empty();
    });
  }

  #takeOver(run: WatchRun): void {
    if (this.#next !== run) return;
    this.#next = undefined;
    this.#current?.end();
    this.#current = run;
  }
}
