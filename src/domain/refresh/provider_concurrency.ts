/** `demand`: a caller waits for the answer. `due`: the scheduler's own work. */
export type RefreshPriority = "demand" | "due";

/** Refreshes at one provider at a time; providers limit a client to tens of requests a second. */
export const perProviderCap = 16;
/** Of these, so many are for work that is due: a caller finds a place even when a provider hangs. */
const perProviderDue = 12;
/** A provider that does not answer gets this much due work at a time until it does. */
const troubledDue = 2;
/** Requests without an answer, in a row, that mean trouble. */
const troubledAfter = 3;
/** Refreshes in all: sockets and memory, and a provider that hangs must leave places for others. */
export const globalCap = 128;
const globalDue = 112;

/** Whoever waited when the lanes were closed. */
export class LanesClosed extends Error {
  constructor() {
    super("no more refreshes are started");
    this.name = "LanesClosed";
  }
}

interface Waiting {
  readonly key: string;
  start(): void;
  close(): void;
}

class Lane {
  running = 0;
  unanswered = 0;
  /** In order of arrival. */
  readonly demand = new Map<string, Waiting>();
  readonly due = new Map<string, Waiting>();

  constructor(readonly providerId: string) {}

  get dueCap(): number {
    return this.unanswered >= troubledAfter ? troubledDue : perProviderDue;
  }

  get isIdle(): boolean {
    return this.running === 0 && this.demand.size === 0 && this.due.size === 0;
  }
}

/**
 * One lane per provider: capped, callers before due work, and places dealt in turn between providers, so that a slow
 * provider holds up only its own connections.
 */
export class ProviderConcurrency {
  readonly #lanes = new Map<string, Lane>();
  /** Those with somebody waiting; the one served last is at the end. */
  readonly #turn = new Set<Lane>();
  #running = 0;
  #closed = false;

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    let count = 0;
    for (const lane of this.#turn) count += lane.demand.size + lane.due.size;
    return count;
  }

  /** Runs `work` when there is a place. @throws LanesClosed when there is none before `close` */
  async run<T>(
    providerId: string,
    key: string,
    priority: RefreshPriority,
    work: () => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw new LanesClosed();
    const lane = this.#laneOf(providerId);
    await new Promise<void>((resolve, reject) => {
      lane[priority].set(key, { key, start: resolve, close: () => reject(new LanesClosed()) });
      this.#turn.add(lane);
      this.#pump();
    });
    try {
      return await work();
    } finally {
      lane.running--;
      this.#running--;
      this.#pump();
      if (lane.isIdle && lane.unanswered === 0) this.#lanes.delete(providerId);
    }
  }

  /** A caller has come for what waits as due work. */
  promote(providerId: string, key: string): void {
    const lane = this.#lanes.get(providerId);
    const waiting = lane?.due.get(key);
    if (!lane || !waiting) return;
    lane.due.delete(key);
    lane.demand.set(key, waiting);
    this.#pump();
  }

  /** Tells whether the provider answered at all. */
  note(providerId: string, answered: boolean): void {
    const lane = this.#laneOf(providerId);
    lane.unanswered = answered ? 0 : lane.unanswered + 1;
  }

  /** Whether due work of the provider would start at once. */
  hasRoom(providerId: string): boolean {
    const lane = this.#lanes.get(providerId);
    return this.#running < globalDue && (lane === undefined || lane.running < lane.dueCap);
  }

  /** Starts nothing more; who waits gets `LanesClosed`. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#turn) {
      for (const waiting of [...lane.demand.values(), ...lane.due.values()]) waiting.close();
      lane.demand.clear();
      lane.due.clear();
    }
    this.#turn.clear();
  }

  #laneOf(providerId: string): Lane {
    let lane = this.#lanes.get(providerId);
    if (!lane) {
      lane = new Lane(providerId);
      this.#lanes.set(providerId, lane);
    }
    return lane;
  }

  #pump(): void {
    this.#serve("demand", globalCap, () => perProviderCap);
    this.#serve("due", globalDue, (lane) => lane.dueCap);
  }

  /** Deals places of one priority, one to each provider in turn, until nobody can take another. */
  #serve(priority: RefreshPriority, cap: number, capOf: (lane: Lane) => number): void {
    for (let dealt = true; dealt && this.#running < cap; ) {
      dealt = false;
      for (const lane of [...this.#turn]) {
        if (this.#running >= cap) return;
        if (lane.running >= capOf(lane)) continue;
        const [next] = lane[priority].values();
        if (!next) continue;
        lane[priority].delete(next.key);
        this.#turn.delete(lane);
        if (lane.demand.size + lane.due.size > 0) this.#turn.add(lane);
        lane.running++;
        this.#running++;
        dealt = true;
        next.start();
      }
    }
  }
}
