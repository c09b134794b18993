import type { Clock, Timer } from "./strategies/clock.js";
import type { TokenCache } from "./token_cache.js";
import type { TokenName } from "./token_name.js";
import { WatchRun, type WatchTokens } from "./watch_run.js";

/** `WatchTokensRequest.names` takes as many. */
const maxNames = 1000;
/** New names of this time open one stream together. */
const gatherMs = 100;

interface Deps {
  readonly clock: Clock;
  readonly cache: TokenCache;
  readonly watchTokens: WatchTokens;
}

/** The one stream of a client: it carries the names that were asked for. */
export class TokenWatch {
  readonly #names = new Map<string, TokenName>();
  /** The stream in use, and the one that takes its place with its first message. */
  #current: WatchRun | undefined;
  #next: WatchRun | undefined;
  #gathering: Timer | undefined;
  #isClosed = false;

  constructor(private readonly deps: Deps) {}

  /** Has the stream carry the name; call it when the daemon has taken the name. */
  add(name: TokenName): void {
    if (this.#isClosed) return;
    const isNew = !this.#names.has(name.key);
    if (isNew && this.#names.size >= maxNames) return;
    this.#names.set(name.key, name);
    // A stream that was refused is asked for again once a call succeeded.
    if (!isNew && (this.#current || this.#next)) return;
    this.#gathering ??= this.deps.clock.setTimer(gatherMs, () => this.#open());
  }

  covers(key: string): boolean {
    return this.#current?.covers(key) === true || this.#next?.covers(key) === true;
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
    const run: WatchRun = new WatchRun(this.deps, new Map(this.#names), () => this.#takeOver(run));
    this.#next = run;
    void run.run().then(() => {
      if (this.#next === run) this.#next = undefined;
      if (this.#current === run) this.#current = undefined;
    });
  }

  #takeOver(run: WatchRun): void {
    if (this.#next !== run) return;
    this.#next = undefined;
    this.#current?.end();
    this.#current = run;
  }
}
