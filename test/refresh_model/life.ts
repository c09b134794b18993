import { OutboundError, type OutboundFetch } from "../../src/outbound/outbound.js";
import type { Clock } from "../../src/runtime/clock.js";
import type { ManualClock } from "../../src/runtime/manual_clock.js";
import type { Store } from "../../src/store/store.js";
import type { Transaction } from "../../src/store/transaction.js";
import type { HostileServer } from "../fakes/hostile_server.js";
import { WiredDomain } from "../fakes/wired_domain.js";

/** Where a crash waits for the engine. */
export type Trap = "before_commit" | "after_commit" | "before_send" | "after_answer" | "before_publish";

const never = new Promise<never>(() => {});

/**
 * One life of a daemon without its listeners: from the opening of the store to a crash. After it nothing that this life started can reach
 * the store, and nobody hears what it still has to say.
 */
export class Life {
  readonly domain: WiredDomain;
  isDead = false;
  /** Commits that have not been answered. */
  busy = 0;
  /** Counts what happened, so that a standstill can be seen. */
  events = 0;
  #isClosed = false;
  #trap: { kind: Trap; after: number } | undefined;

  constructor(
    readonly store: Store,
    time: ManualClock,
    private readonly server: HostileServer,
    random: () => number,
  ) {
    this.domain = new WiredDomain({
      store: this.#mortalStore(),
      clock: this.#mortalClock(time),
      random,
      outbound: this.#outbound(),
    });
    this.store.onCommitted((changes) => {
      this.#pass("before_publish");
      if (!this.isDead) this.domain.changes.emit("connections", changes);
    });
    this.domain.engine.start();
  }

  /** The next but `after` thing of this kind is the last that happens. */
  setTrap(kind: Trap, after: number): void {
    this.#trap = { kind, after };
  }

  /** The end of it: what is on disk is all that is left. */
  async bury(): Promise<void> {
    this.isDead = true;
    while (this.busy > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#isClosed = true;
    await this.store.close();
  }

  #pass(kind: Trap): void {
    this.events++;
    if (this.#trap?.kind === kind && this.#trap.after-- === 0) this.isDead = true;
  }

  #commit<T>(change: (tx: Transaction) => T): Promise<T> {
    if (!this.isDead) this.#pass("before_commit");
    if (this.isDead) return never;
    this.busy++;
    return this.store.commit(change).then(
      (result) => {
        this.busy--;
        if (!this.isDead) this.#pass("after_commit");
        return this.isDead ? never : result;
      },
      (error: unknown) => {
        this.busy--;
        if (this.isDead) return never;
        throw error;
      },
    );
  }

  #mortalStore(): Store {
    return new Proxy(this.store, {
      get: (target, name) => {
        if (name === "commit") return this.#commit.bind(this);
        // A read of a closed store would end this process.
        if (this.#isClosed) throw new Error("this life is over");
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #mortalClock(time: ManualClock): Clock {
    return {
      nowMs: () => time.nowMs(),
      monotonicMs: () => time.monotonicMs(),
      setTimer: (delayMs, callback) => time.setTimer(delayMs, () => (this.isDead ? undefined : callback())),
    };
  }

  #outbound(): OutboundFetch {
    return async (url, request) => {
      this.#pass("before_send");
      if (this.isDead) return await never;
      const host = new URL(url).hostname;
      const provider = host.split(".")[0] ?? "";
      const isHeard = (): boolean => !this.isDead;
      const form = new URLSearchParams(request.body ?? "");
      const outcome = await this.server.handle(provider, form, isHeard, request.headers["dpop"]);
      if (!this.isDead) this.#pass("after_answer");
      if (this.isDead) return await never;
      if (outcome === "refused") throw new OutboundError("network", "before_send", host, "ECONNREFUSED");
      if (outcome === "dropped") throw new OutboundError("network", "after_send", host, "ECONNRESET");
      return new Response(outcome.body, { status: outcome.status, headers: { ...outcome.headers } });
    };
  }
}
