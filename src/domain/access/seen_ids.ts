import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";
import type { Change } from "../../store/records/log_codec.js";
import type { Store } from "../../store/store.js";
import type { Sight } from "./access_control.js";

/** Changes read at a time. */
const page = 256;
/** Of one sight; a caller that sees more gains little by it. */
const maxIds = 1_000;
/** Restrictions, not callers: all replicas of an agent share one. */
const maxSights = 1_000;
/** Of all sights, some 10 MiB. */
const maxIdsInAll = 100_000;

type SeenStore = Pick<Store, "epoch" | "revision" | "changesSince" | "getConnection" | "getProvider">;

/** What one restriction lets see. */
interface SeenBySight {
  readonly key: string;
  readonly view: Sight;
  /** Undefined: too many. */
  ids: Set<string> | undefined;
  /** All changes up to here are in it. */
  revision: bigint;
}

/**
 * The ids of the connections that a restricted caller sees, if they are few. They are kept in memory and follow the log of changes, of
 * which the store has one entry for each connection. Otherwise, thousands of spokes that come at once would each read the whole store to
 * find their ten connections.
 *
 * The ids are where to look: a caller that gets them judges each connection again, and misses none that it sees.
 */
export class SeenIds {
  readonly #sights = new BoundedMap<string, SeenBySight>(maxSights);
  readonly #store: SeenStore;
  /** Whether a profile is there, for one walk. */
  readonly #profiles = new Map<string, boolean>();
  #total = 0;
  #waiting: { readonly sight: SeenBySight; readonly done: () => void }[] = [];
  #isReading = false;

  constructor(options: {
    readonly store: SeenStore;
    readonly changes: Changes;
  }) {
    this.#store = options.store;
    // A restriction may name providers, and they have other names now.
    options.changes.on("provider", () => this.#clear());
  }

  /** Whether `idsOf` answers from what is known, and what changed since. */
  has(view: Sight): boolean {
    return view.isRestricted && this.#sights.get(view.epochOf(this.#store.epoch)) !== undefined;
  }

  /** In no order; undefined where they are too many, or when what the caller may see changed meanwhile. */
  async idsOf(view: Sight): Promise<ReadonlySet<string> | undefined> {
    if (!view.isRestricted) return undefined;
    const sight = this.#sightOf(view);
    if (sight.ids && sight.revision < this.#store.revision) {
      await new Promise<void>((done) => {
        this.#waiting.push({ sight, done });
        void this.#read();
      });
    }
    return sight.ids;
  }

  #sightOf(view: Sight): SeenBySight {
    const key = view.epochOf(this.#store.epoch);
    const known = this.#sights.get(key);
    if (known) return known;
    const sight = { key, view, ids: new Set<string>(), revision: 0n };
    const removed = this.#sights.set(key, sight);
    if (removed) this.#empty(removed);
    return sight;
  }

  /** One walk over the log for all who wait; who comes meanwhile has the next one. */
  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    // All who ask in the same turn.
    await othersTurn();
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      const sights = new Set(waiting.map(({ sight }) => sight));
      try {
        await this.#walk(sights);
      } catch {
        // As of a record that cannot be read: each looks at the whole store then, where what is damaged fails those whom it concerns.
        for (const sight of sights) this.#drop(sight);
      }
      for (const { done } of waiting) done();
    }
    this.#isReading = false;
  }

  async #walk(sights: ReadonlySet<SeenBySight>): Promise<void> {
    this.#profiles.clear();
    let after = this.#store.revision;
    for (const { revision } of sights) if (revision < after) after = revision;
    for (;;) {
      const changes = this.#store.changesSince(after, page);
      const upto = changes.at(-1)?.revision ?? after;
      for (const sight of sights) {
        // What it has seen by another policy is not kept.
        if (sight.view.epochOf(this.#store.epoch) !== sight.key) this.#drop(sight);
        else if (upto > sight.revision) this.#take(sight, changes, upto);
      }
      after = upto;
      if (this.#total > maxIdsInAll) this.#clear();
      if (changes.length < page) return;
      await othersTurn();
    }
  }

  #take(sight: SeenBySight, changes: readonly Change[], upto: bigint): void {
    for (const change of changes) {
      if (!sight.ids) break;
      if (change.revision <= sight.revision) continue;
      const before = sight.ids.size;
      if (!change.removed && this.#sees(sight.view, change)) sight.ids.add(change.connectionId);
      else sight.ids.delete(change.connectionId);
      this.#total += sight.ids.size - before;
      if (sight.ids.size > maxIds) this.#empty(sight);
    }
    sight.revision = upto;
  }

  #sees({ seesConnection }: Sight, { connectionId: id, userId, providerId }: Change): boolean {
    if (seesConnection({ id, userId, providerId, providerName: "" })) return true;
    if (this.#hasProfile(providerId)) return false;
    // Its connections keep the name under which they were made, in their records.
    const connection = this.#store.getConnection(id);
    return connection !== undefined && seesConnection(connection);
  }

  #hasProfile(providerId: string): boolean {
    const known = this.#profiles.get(providerId);
    if (known !== undefined) return known;
    const has = providerId !== "" && this.#store.getProvider(providerId) !== undefined;
    this.#profiles.set(providerId, has);
    return has;
  }

  #empty(sight: SeenBySight): void {
    this.#total -= sight.ids?.size ?? 0;
    sight.ids = undefined;
  }

  #drop(sight: SeenBySight): void {
    this.#empty(sight);
    if (this.#sights.get(sight.key) === sight) this.#sights.delete(sight.key);
  }

  #clear(): void {
    for (const sight of this.#sights.values()) this.#empty(sight);
    this.#sights.clear();
  }
}

function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
