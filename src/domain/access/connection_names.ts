import type { Permissions } from "../../model/access/permissions.js";
import type { Identity } from "../../model/access/principal.js";
import type { ConnectionName, NameParts } from "../../model/connections/connection_name.js";
import { NotFound } from "../../model/errors.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import type { Store } from "../../store/store.js";
import type { AccessControl } from "./access_control.js";

/** How a caller names a connection: by its id, or by its name. */
export type ConnectionKey = { readonly id: string } | { readonly name: ConnectionName };

/** Finds connections by their names: what the caller may not see has none. */
export class ConnectionNames {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly access: AccessControl;
    },
  ) {}

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

  findFor(name: ConnectionName, principal: Identity): string | undefined {
    return this.find(name, this.deps.access.permissionsFor(principal));
  }

  find(name: ConnectionName, permissions: Permissions): string | undefined {
    const parts = this.partsOf(name);
    if (!parts) return undefined;
    for (const id of this.deps.store.idsNamed(parts)) {
      if (!permissions.isRestricted || this.deps.access.visible(permissions, id)) return id;
    }
    return undefined;
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
