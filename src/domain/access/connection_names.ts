import type { Permissions } from "../../model/access/permissions.js";
import type { Identity } from "../../model/access/principal.js";
import type { ConnectionName, NameParts } from "../../model/connections/connection_name.js";
import { NotFound } from "../../model/errors.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";
import type { Store } from "../../store/store.js";
import type { AccessControl } from "./access_control.js";

/** Names found lately, and the ids beyond which one is not kept: some MiB at most. */
const maxNames = 1_024;
const maxIds = 16;

/** How a caller names a connection: by its id, or by its name. */
export type ConnectionKey = { readonly id: string } | { readonly name: ConnectionName };

/** A request that names its connection; its rules say that one of both is set. */
export interface NamingRequest {
  readonly connectionId: string;
  readonly name?: ConnectionName | undefined;
}

/** Finds connections by their names: what the caller may not see has none. */
export class ConnectionNames {
  /** What is found holds until a connection or a profile changes: any of them may take a name, or another place below it. */
  readonly #found = new BoundedMap<string, readonly string[]>(maxNames);

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly access: AccessControl;
      readonly changes: Changes;
    },
  ) {
    deps.changes.on("connections", () => this.#found.clear());
    deps.changes.on("provider", () => this.#found.clear());
  }

  /**
   * The id as it was given, whether it exists or not; that of a name only when the caller may see it.
   *
   * @throws NotFound
   */
  idOf(key: ConnectionKey, principal: Identity): string {
    if ("id" in key) return key.id;
    const id = this.findFor(key.name, principal);
    if (id === undefined) throw new NotFound("connection");
    return id;
  }

  /** The id of the connection that a request names, as `idOf` gives it. @throws NotFound */
  idIn({ connectionId, name }: NamingRequest, principal: Identity): string {
    return this.idOf(name ? { name } : { id: connectionId }, principal);
  }

  findFor(name: ConnectionName, principal: Identity): string | undefined {
    return this.find(name, this.deps.access.permissionsFor(principal));
  }

  find(name: ConnectionName, permissions: Permissions): string | undefined {
    for (const id of this.#idsOf(name)) {
      if (!permissions.isRestricted || this.deps.access.visible(permissions, id)) return id;
    }
    return undefined;
  }

  #idsOf(name: ConnectionName): Iterable<string> {
    const key = JSON.stringify([name.providerName, name.userId, name.label]);
    const found = this.#found.get(key);
    if (found) return found;
    const parts = this.partsOf(name);
    if (!parts) return [];
    const ids = [...take(this.deps.store.idsNamed(parts), maxIds + 1)];
    if (ids.length > maxIds) return this.deps.store.idsNamed(parts);
    // A caller can make up names without end.
    if (ids.length > 0) this.#found.set(key, ids);
    return ids;
  }

  /** Undefined when there is no such provider. */
  partsOf({ providerName, userId, label }: ConnectionName): NameParts | undefined {
    const name = canonicalName(providerName);
    // What can be no key of the store is not looked up: a name may come before it is validated.
    if (!/^[a-z0-9-]{1,63}$/.test(name)) return undefined;
    const providerId = this.deps.store.findProviderIdByName(name);
    return providerId === undefined ? undefined : { providerId, userId, label };
  }
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const item of items) {
    if (left-- === 0) return;
    yield item;
  }
}
