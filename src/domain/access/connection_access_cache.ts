import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import type { Connection } from "../../model/connections/connection.js";
import { isId } from "../../model/ids.js";
import type { Store } from "../../store/store.js";

/** Facts kept in memory: some 4 MiB at most. */
const maxEntries = 10_000;

type Owner = Pick<Connection, "userId" | "providerId" | "providerName">;

/** What the policy must know of connections and providers, kept in memory for the calls of agents. */
export class ConnectionAccessCache {
  readonly #store: Pick<Store, "getConnection" | "getProvider">;
  readonly #known = new Map<string, ConnectionFacts>();
  readonly #names = new Map<string, string>();

  constructor(options: { store: Pick<Store, "getConnection" | "getProvider"> }) {
    this.#store = options.store;
  }

  /** Undefined when there is no such connection. */
  of(connectionId: string): ConnectionFacts | undefined {
    const known = this.#known.get(connectionId);
    if (known) return known;
    // Longer keys are refused by the store.
    const connection = isId(connectionId) ? this.#store.getConnection(connectionId) : undefined;
    if (!connection) return undefined;
    const facts = this.from(connectionId, connection);
    if (this.#known.size >= maxEntries) this.#known.clear();
    this.#known.set(connectionId, facts);
    return facts;
  }

  /** Of a connection that is at hand. */
  from(connectionId: string, { userId, providerId, providerName }: Owner): ConnectionFacts {
    return {
      connectionId,
      userId,
      provider: { id: providerId, name: this.#nameOf(providerId) ?? providerName },
    };
  }

  connectionsChanged(connectionIds: Iterable<string>): void {
    for (const id of connectionIds) this.#known.delete(id);
  }

  providerChanged(providerId: string): void {
    this.#names.delete(providerId);
    this.#known.clear();
  }

  /** The present name: a deleted provider has none, and its connections keep the one they were made under. */
  #nameOf(providerId: string): string | undefined {
    const known = this.#names.get(providerId);
    if (known !== undefined) return known;
    const name = this.#store.getProvider(providerId)?.name;
    if (name === undefined) return undefined;
    if (this.#names.size >= maxEntries) this.#names.clear();
    this.#names.set(providerId, name);
    return name;
  }
}
