import type { Adapter, StoredPayload } from "oidc-provider";

/**
 * Where clients, sessions, grants and tokens lie. It outlives `stop`. The engine itself refuses what has expired.
 * No method does I/O, so the engine's "find the refresh token, mark it used" is never interleaved with another
 * request's: of two refreshes that race, the second always counts as reuse.
 */
export class Store {
  readonly #models = new Map<string, Map<string, StoredPayload>>();

  #model(name: string): Map<string, StoredPayload> {
    let entries = this.#models.get(name);
    if (entries === undefined) {
      entries = new Map();
      this.#models.set(name, entries);
    }
    return entries;
  }

  put(model: string, id: string, payload: StoredPayload): void {
    this.#model(model).set(id, structuredClone(payload));
  }

  /** Undefined removes it. @returns what it was */
  change(model: string, id: string, change: StoredPayload | undefined): StoredPayload | undefined {
    const before = this.#model(model).get(id);
    if (change === undefined) this.#model(model).delete(id);
    else this.put(model, id, { ...before, ...change });
    return before;
  }

  ids(model: string): readonly string[] {
    return [...this.#model(model).keys()];
  }

  clear(model: string): void {
    this.#model(model).clear();
  }

  adapter(name: string): Adapter {
    const entries = this.#model(name);
    const findBy = async (field: string, value: string) => {
      for (const payload of entries.values()) if (payload[field] === value) return structuredClone(payload);
      return undefined;
    };
    return {
      upsert: async (id, payload) => this.put(name, id, payload),
      find: async (id) => structuredClone(entries.get(id)),
      findByUid: (uid) => findBy("uid", uid),
      findByUserCode: (userCode) => findBy("userCode", userCode),
      consume: async (id) => {
        const payload = entries.get(id);
        if (payload !== undefined) payload["consumed"] = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void entries.delete(id),
      revokeByGrantId: async (grantId) => {
        for (const [id, payload] of entries) if (payload["grantId"] === grantId) entries.delete(id);
      },
    };
  }
}
