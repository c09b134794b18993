import type { TokenSpool } from "../../domain/grants/token_spool.js";
import { type Clock, delay } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { LeaderCalls } from "../../server/fleet/leader_calls.js";
import type { Store } from "../../store/store.js";

const maxEntries = 500;
/** What is put on record meanwhile goes along. */
const roundMs = 1_000;
/** A hub that ends waits no longer for the one that leads: what it does not take stays in the spool file. */
const bringHomeMs = 3_000;
/** Who reads the audit log waits no longer for what is not in it yet. */
const recordedMs = 2_000;

export interface HandoverDeps {
  readonly store: Pick<Store, "onRecorded" | "outbox" | "role" | "settled">;
  readonly spool: Pick<TokenSpool, "handOver">;
  readonly calls: Pick<LeaderCalls, "hand">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Hands to the hub that leads what this one holds for it: audit events of reads, and token sets of a reign that is over. */
export class Handover {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #isSpoolDone = false;
  #handing: Promise<void> | undefined;

  constructor(private readonly deps: HandoverDeps) {}

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Has the hub that leads store what came when this one led no more, before the process ends. */
  async bringHome(): Promise<void> {
    const { clock, log } = this.deps;
    const late = new AbortController();
    const timer = clock.setTimer(bringHomeMs, () => late.abort());
    try {
      await Promise.race([this.#handTokenSets(late.signal), delay(clock, bringHomeMs)]);
    } catch (error) {
      log.warn({ err: error }, "token sets stay in the spool file until the next start");
    } finally {
      timer.cancel();
    }
  }

  /** Resolves when what this hub has put on record is in the log, as far as a hub that leads takes it within two seconds. */
  async recorded(): Promise<void> {
    const { store, clock, log } = this.deps;
    const handed = store.role === "leader" ? store.settled() : this.#handed();
    try {
      await Promise.race([handed, delay(clock, recordedMs)]);
    } catch (error) {
      log.debug({ err: error }, "the hub that leads did not take what this one has put on record");
    }
  }

  async #run(): Promise<void> {
    const { clock, log, store } = this.deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (store.role === "follower") await this.#handed();
      } catch (error) {
        log.debug({ err: error }, "the hub that leads did not take what this one holds for it");
      }
      await delay(clock, roundMs, signal);
    }
  }

  /** One at a time: whoever asks while it is under way has what was there before handed over after it. */
  async #handed(): Promise<void> {
    const before = this.#handing;
    const own = (async () => {
      await before?.catch(() => undefined);
      await this.#handOver();
    })();
    this.#handing = own;
    await own;
  }

  async #handOver(): Promise<void> {
    const { calls, store } = this.deps;
    const { outbox } = store;
    if (!this.#isSpoolDone) {
      await this.#handTokenSets(this.#stop.signal);
      this.#isSpoolDone = true;
    }
    for (let entries = outbox?.take(maxEntries) ?? []; outbox && entries.length > 0; ) {
      const handed = entries;
      const answer = await calls.hand(this.#stop.signal, (client, options) =>
        client.appendAudit({ source: outbox.source, entries: handed }, options),
      );
      if (answer === "here") return;
      await outbox.drop(answer.sequence);
      entries = outbox.take(maxEntries);
    }
  }

  async #handTokenSets(signal: AbortSignal): Promise<void> {
    const { spool, calls } = this.deps;
    await spool.handOver(async (tokenSets) => {
      const answer = await calls.hand(signal, (client, options) =>
        client.bringHome({ tokenSets: [...tokenSets] }, options),
      );
      return answer !== "here";
    });
  }
}
