import { type Clock, delay, type Log } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";
import type { Copies } from "./copies.js";

/** How late watchers may learn that a token has ended. */
const roundMs = 1_000;
const maxEnds = 500;
/** For so long a credential without an end of its own is served after a hub last sent a message: it may have been revoked since. */
export const maxSilenceMs = 60 * 60_000;

export interface CopyClockDeps {
  readonly store: Store;
  readonly copies: Copies;
  /** By the clock of `nowMs`; undefined when no hub ever sent a message. */
  readonly lastContactAtMs: () => number | undefined;
  /** Called before credentials are ended: a hub must send everything after a reconnect. */
  readonly onSilent: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What time does to a copy while no hub sends changes. */
export class CopyClock {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #isSilent = false;

  constructor(private readonly deps: CopyClockDeps) {}

  /** Resolves when what has ended already is not served any more. */
  async start(): Promise<void> {
    await this.#round();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.deps;
    const { signal } = this.#stop;
    for (;;) {
      await delay(clock, roundMs, signal);
      if (signal.aborted) return;
      try {
        await this.#round();
      } catch (error) {
        log.error({ err: error }, "what has ended of the copy could not be put down");
      }
    }
  }

  async #round(): Promise<void> {
    await this.#announceEnds();
    const { lastContactAtMs, onSilent, copies, clock, log } = this.deps;
    const isSilent = (): boolean => clock.nowMs() - (lastContactAtMs() ?? clock.nowMs()) >= maxSilenceMs;
    if (!isSilent()) {
      this.#isSilent = false;
      return;
    }
    if (this.#isSilent) return;
    this.#isSilent = true;
    onSilent();
    const connections = await copies.endStatic(isSilent);
    log.warn(
      { connections },
      "no message of a hub for an hour: credentials that do not expire are not served",
    );
  }

  /** Watchers are notified that a token has ended. */
  async #announceEnds(): Promise<void> {
    const { store, clock } = this.deps;
    const nowMs = clock.nowMs();
    const ended = store.due(nowMs, maxEnds).map(({ connectionId }) =>
      store.commit((tx) => {
        const connection = tx.getConnection(connectionId);
        if (connection?.dueAtMs === undefined || connection.dueAtMs > nowMs) return;
        tx.deleteCredential(connectionId);
        tx.putConnection({ ...connection, dueAtMs: undefined });
      }),
    );
    await Promise.all(ended);
  }
}
