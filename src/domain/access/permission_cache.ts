import type { Permissions } from "../../model/access/permissions.js";
import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import type { Connection } from "../../model/connections/connection.js";
import { isId } from "../../model/ids.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";
import type { Store } from "../../store/store.js";

/** Entries of each kind: some 4 MiB at most. Principals of a JWT issuer can be many. */
const maxEntries = 10_000;

type Owner = Pick<Connection, "userId" | "providerId" | "providerName">;

export interface PermissionCacheDeps {
  readonly store: Pick<Store, "getConnection" | "providerNameOf">;
  readonly changes: Changes;
}

/** What the policy is applied to: the compiled permissions of principals, and the user and provider of connections. */
export class PermissionCache {
  /** By the name of the principal. */
  readonly permissions = new BoundedMap<string, Permissions>(maxEntries);
  readonly #connections = new BoundedMap<string, ConnectionFacts>(maxEntries);
  readonly #providerNames = new BoundedMap<string, string>(maxEntries);

  constructor(private readonly deps: PermissionCacheDeps) {
    deps.changes.on("connections", (changed) => {
      for (const { connectionId } of changed) this.#connections.delete(connectionId);
    });
    deps.changes.on("provider", (providerId) => {
      this.#providerNames.delete(providerId);
      this.#connections.clear();
    });
  }

  /** Undefined when there is no such connection. */
  connection(connectionId: string): ConnectionFacts | undefined {
    const cached = this.#connections.get(connectionId);
    if (cached) return cached;
    // Longer keys are refused by the store.
    const connection = isId(connectionId) ? this.deps.store.getConnection(connectionId) : undefined;
    if (!connection) return undefined;
    const facts = this.factsFrom(connectionId, connection);
    this.#connections.set(connectionId, facts);
    return facts;
  }

  /** Of a connection that was read already. */
  factsFrom(connectionId: string, { userId, providerId, providerName }: Owner): ConnectionFacts {
    return {
      connectionId,
      userId,
      provider: { id: providerId, name: this.#providerName(providerId) ?? providerName },
    };
  }

  /** The present name: a deleted provider has none, and its connections keep the one they were made under. */
  #providerName(providerId: string): string | undefined {
    const cached = this.#providerNames.get(providerId);
    if (cached !== undefined) return cached;
    const name = this.deps.store.providerNameOf(providerId);
    if (name !== undefined) this.#providerNames.set(providerId, name);
    return name;
  }
}
