import type { TokenSpool } from "../../domain/grants/token_spool.js";
import { type Clock, delay } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { LeaderCalls } from "../../server/fleet/leader_calls.js";
import type { Store } from "../../store/store.js";

const maxEntries = 500;
/** What is put on record meanwhile goes along. */
const roundMs = 1_000;

export interface HandoverDeps {
  readonly store: Pick<Store, "onRecorded" | "outbox" | "role">;
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

  constructor(private readonly deps: HandoverDeps) {}

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log, store } = this.deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (store.role === "follower") await this.#handOver();
      } catch (error) {
        log.debug({ err: error }, "the hub that leads did not take what this one holds for it");
      }
      await delay(clock, roundMs, signal);
    }
  }

  async #handOver(): Promise<void> {
    const { spool, calls, store } = this.deps;
    const { outbox } = store;
    if (!this.#isSpoolDone) {
      await spool.handOver(async (tokenSets) => {
        const answer = await calls.hand(this.#stop.signal, (client, options) =>
          client.bringHome({ tokenSets: [...tokenSets] }, options),
        );
        return answer !== "here";
      });
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
}
