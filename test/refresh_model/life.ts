import type { Refresher } from "../../src/domain/grants/refresher.js";
import { ledRefresher } from "../../src/ext/fleet/calls/led_refresher.js";
import type { ReplicaStore } from "../../src/ext/fleet/replication/replica_store.js";
import { OutboundError, type OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import type { Clock } from "../../src/runtime/clock.js";
import type { SpoolFile } from "../../src/store/files/spool_file.js";
import type { Store } from "../../src/store/store.js";
import type { Transaction } from "../../src/store/transaction.js";
import type { HostileServer } from "../fakes/hostile_server.js";
import type { ManualClock } from "../fakes/manual_clock.js";
import { WiredDomain } from "../fakes/wired_domain.js";
import type { FencedLog } from "./fenced_log.js";

/** Where a crash waits for the engine. */
export type Trap =
  | "before_connect"
  | "before_mark"
  | "before_commit"
  | "after_commit"
  | "before_send"
  | "after_answer"
  | "before_publish";

/** What the dead wait for. Each wait has a promise of its own: one promise for all would keep whatever waits for it. */
const never = (): Promise<never> => new Promise<never>(() => undefined);

/** What makes a life one of a hub of a fleet. */
export interface LifeHub {
  /** The life that leads. */
  leader(): Life;
  /** Resolves when this hub has what the log has. */
  applied(): Promise<void>;
  /** Told of what this hub hears: changes that are durable, in their order. */
  heard(revisions: readonly bigint[]): void;
}

/**
 * One life of a daemon without its listeners: from the opening of the store to a crash. After it nothing that this life started can reach
 * the store, and nobody hears what it still has to say.
 */
export class Life {
  readonly domain: WiredDomain;
  isDead = false;
  /** How many of the next commits of token sets are refused, as what cannot be written is. */
  refusals = 0;
  /** Commits that have not been answered. */
  busy = 0;
  /** Counts what happened, so that a standstill can be seen. */
  events = 0;
  /** By refresh token: marks of intent that were asked for, and neither followed by the request nor taken back. */
  readonly unsent = new Map<string, number>();
  /** Refresh tokens whose request was refused for the nonce of its proof: its mark counts until the request comes once more. */
  readonly #challenged = new Set<string>();
  #isClosed = false;
  #log: FencedLog | undefined;
  /** While it is stopped: what came meanwhile. */
  #stopped: (() => void)[] | undefined;
  #trap: { kind: Trap; after: number } | undefined;

  constructor(
    readonly store: Store,
    time: ManualClock,
    private readonly server: HostileServer,
    random: () => number,
    private readonly spoolFile: SpoolFile,
    private readonly hub?: LifeHub,
  ) {
    this.domain = new WiredDomain({
      store: this.#mortalStore(),
      clock: this.#mortalClock(time),
      random,
      outbound: this.#outbound(),
      spoolFile,
      ...(hub && { led: (own) => this.#led(own, hub) }),
    });
    this.store.onCommitted((changes) => {
      this.#pass("before_publish");
      if (this.isDead) return;
      hub?.heard(changes.map(({ revision }) => revision));
      this.domain.changes.emit("connections", changes);
    });
    if (hub) this.store.onApplied((applied) => this.domain.changes.emit("followed", applied));
  }

  /** Whether it writes and refreshes; a hub of a fleet does so once it is told to lead. */
  get leads(): boolean {
    return this.hub === undefined || this.#log?.leads() === true;
  }

  /** Begins what a daemon does by itself. @param log of a fleet, that this hub leads from now on */
  async begin(log?: FencedLog): Promise<void> {
    if (log) (this.store as ReplicaStore).lead(log);
    this.#log = log;
    await this.domain.spool.recover();
    this.domain.recovery.start();
    this.domain.engine.start();
  }

  /** From now on it cannot reach the log; stopped, nothing of it moves either. */
  cutOff(how: "stopped" | "cut"): void {
    this.#log?.cut();
    if (how === "stopped") this.#stopped = [];
  }

  /** What came meanwhile comes now. */
  resume(): void {
    const came = this.#stopped ?? [];
    this.#stopped = undefined;
    for (const go of came) go();
    this.#log?.heal();
  }

  /** As a daemon whose store has failed: nothing new begins, and what providers still answer goes into the spool file. */
  async abandon(): Promise<void> {
    (this.store as ReplicaStore).end();
    this.domain.spool.save();
    let isStopped = false;
    void this.domain.engine.stop().then(() => {
      isStopped = true;
    });
    while (!isStopped && !this.isDead) {
      this.server.release();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await this.store.settled();
  }

  /** The next but `after` thing of this kind is the last that happens. */
  setTrap(kind: Trap, after: number): void {
    this.#trap = { kind, after };
  }

  /** The end of it: what is on disk is all that is left. */
  async bury(): Promise<void> {
    this.isDead = true;
    this.#log?.heal();
    while (this.busy > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#isClosed = true;
    await this.store.close();
    this.spoolFile.close();
  }

  /** A hub that follows has the leader refresh. */
  #led(own: Refresher, hub: LifeHub): Pick<Refresher, "refresh"> {
    const isHere = (): boolean => this.leads;
    return ledRefresher(own, {
      get isHere() {
        return isHere();
      },
      refresh: async (id, options) => {
        const outcome = await hub.leader().domain.engine.refresher.refresh(id, "demand", options);
        await hub.applied();
        return outcome;
      },
    });
  }

  /** Calls `go` when this life is not stopped. */
  #awake(go: () => void): void {
    if (this.#stopped) this.#stopped.push(go);
    else go();
  }

  #pass(kind: Trap): void {
    this.events++;
    if (this.#trap?.kind === kind && this.#trap.after-- === 0) this.isDead = true;
  }

  #commit<T>(change: (tx: Transaction) => T): Promise<T> {
    if (!this.isDead) this.#pass("before_commit");
    if (this.isDead) return never();
    this.busy++;
    return this.store.commit(this.refusals > 0 ? this.#refusing(change) : change).then(
      (result) => {
        this.busy--;
        if (!this.isDead) this.#pass("after_commit");
        return this.isDead ? never() : result;
      },
      (error: unknown) => {
        this.busy--;
        if (this.isDead) return never();
        throw error;
      },
    );
  }

  /** Refuses it when it stores a token set. */
  #refusing<T>(change: (tx: Transaction) => T): (tx: Transaction) => T {
    return (tx) => {
      const called = new Set<string | symbol>();
      const watched = new Proxy(tx, {
        get: (target, name) => {
          called.add(name);
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      const result = change(watched);
      if (called.has("putCredential") && called.has("putConnection") && this.refusals-- > 0)
        throw new Error("refused");
      return result;
    };
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
      setTimer: (delayMs, callback) =>
        time.setTimer(delayMs, () => this.#awake(() => (this.isDead ? undefined : callback()))),
    };
  }

  #outbound(): OutboundFetch {
    return async (url, request) => {
      const host = new URL(url).hostname;
      const provider = host.split(".")[0] ?? "";
      const form = new URLSearchParams(request.body ?? "");
      if (request.beforeSend) await this.#marked(provider, host, form, request.beforeSend);
      this.#pass("before_send");
      if (this.isDead) return await never();
      if (!this.leads) throw new OutboundError("not_leading", "before_send", host);
      this.#count(form, -1);
      const isHeard = (): boolean => !this.isDead;
      const outcome = await this.server.handle(provider, form, isHeard, request.headers["dpop"]);
      // Nothing was presented: the open connection was closed before the request was written, or the proof lacks the nonce.
      const isChallenged = typeof outcome !== "string" && outcome.body.includes("use_dpop_nonce");
      if (isChallenged) this.#challenged.add(form.get("refresh_token") ?? "");
      if (outcome === "refused" || isChallenged) this.#count(form, 1);
      await new Promise<void>((resolve) => this.#awake(resolve));
      if (!this.isDead) this.#pass("after_answer");
      if (this.isDead) return await never();
      if (outcome === "refused") throw new OutboundError("network", "before_send", host, "ECONNREFUSED");
      if (outcome === "dropped") throw new OutboundError("network", "after_send", host, "ECONNRESET");
      return new Response(outcome.body, { status: outcome.status, headers: { ...outcome.headers } });
    };
  }

  /** Connects, and asks for the mark of intent when that is done. */
  async #marked(
    provider: string,
    host: string,
    form: URLSearchParams,
    beforeSend: () => Promise<boolean>,
  ): Promise<void> {
    this.#pass("before_connect");
    if (this.isDead) return await never();
    const isOpen = await this.server.connect(provider);
    await new Promise<void>((resolve) => this.#awake(resolve));
    if (!this.isDead) this.#pass("before_mark");
    if (this.isDead) return await never();
    const isMarkedAlready = this.#challenged.delete(form.get("refresh_token") ?? "");
    if (!isOpen || !this.leads) {
      if (isMarkedAlready) this.#count(form, -1);
      throw new OutboundError(isOpen ? "not_leading" : "timeout", "before_send", host);
    }
    if (!isMarkedAlready) this.#count(form, 1);
    const isMarked = await beforeSend().catch(() => false);
    if (isMarked) return;
    this.#count(form, -1);
    throw new OutboundError("aborted", "before_send", host);
  }

  #count(form: URLSearchParams, by: 1 | -1): void {
    const token = form.get("refresh_token");
    const count = this.unsent.get(token ?? "") ?? 0;
    if (token !== null) this.unsent.set(token, Math.max(0, count + by));
  }
}
