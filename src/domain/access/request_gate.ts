import type { Action } from "../../model/access/access_table.js";
import type { Permissions } from "../../model/access/permissions.js";
import type { ProviderFacts } from "../../model/access/scope_restriction.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { type NexusError, NotFound } from "../../model/errors.js";
import { isId } from "../../model/ids.js";
import {
  canonicalName,
  type ProviderKey,
  type ProviderProfile,
} from "../../model/providers/provider_profile.js";
import type { Store } from "../../store/store.js";
import { hashState } from "../connections/connections.js";
import { type AccessControl, denied } from "./access_control.js";
import type { ConnectionNames } from "./connection_names.js";
import type { McpServerNames } from "./mcp_server_names.js";

/** The resource that a request names; it may not exist. */
export type RequestedResource =
  | { readonly kind: "connection"; readonly connectionId: string }
  | { readonly kind: "named"; readonly name: ConnectionName }
  /** A connection of this name, made where there is none. */
  | {
      readonly kind: "acquired";
      readonly name: ConnectionName;
      /** Instead of the name of the provider; empty when that is given. */
      readonly mcpServerUrl: string;
    }
  /** A connection to be made, or consented to again. */
  | {
      readonly kind: "request";
      /** Undefined for a new one. */
      readonly connectionId: string | undefined;
      /** Empty when it was left out. */
      readonly userId: string;
      readonly label: string;
      readonly provider: ProviderKey | undefined;
    }
  | { readonly kind: "provider"; readonly provider: ProviderKey }
  /** The request of a state that a person has not answered yet. */
  | { readonly kind: "state"; readonly state: string };

type GateStore = Pick<Store, "getProvider" | "findProviderByName" | "getAuthorization">;

/**
 * Judges what a restricted caller asks for. What does not exist and what the caller may not see get the same answer here, before the domain
 * looks at anything. So no later error can distinguish them.
 */
export class RequestGate {
  constructor(
    private readonly deps: {
      readonly access: AccessControl;
      readonly names: Pick<ConnectionNames, "find">;
      readonly store: GateStore;
      readonly mcpNames: Pick<McpServerNames, "find">;
    },
  ) {}

  /** The refusal; undefined when the caller may go on. */
  refusal(permissions: Permissions, action: Action, resource: RequestedResource): NexusError | undefined {
    switch (resource.kind) {
      case "connection":
        return this.deps.access.visible(permissions, resource.connectionId)
          ? undefined
          : new NotFound("connection");
      case "named":
        return this.connectionOf(permissions, resource) === undefined
          ? new NotFound("connection")
          : undefined;
      case "acquired":
        return this.connectionOf(permissions, resource) === undefined
          ? this.newRefusal(permissions, this.#acquiredName(resource))
          : undefined;
      case "provider":
        return this.#provider(permissions, resource.provider) ? undefined : new NotFound("provider");
      case "state": {
        const pending = this.deps.store.getAuthorization(hashState(resource.state));
        return pending && this.deps.access.visible(permissions, pending.connectionId)
          ? undefined
          : new NotFound("request");
      }
      case "request":
        return this.#requestRefusal(permissions, action, resource);
    }
  }

  /** The connection that a request names: the id as it was given, that of a name only when the caller may see it. */
  connectionOf(permissions: Permissions, resource: RequestedResource): string | undefined {
    if (resource.kind === "named") return this.deps.names.find(resource.name, permissions);
    if (resource.kind === "acquired") return this.deps.names.find(this.#acquiredName(resource), permissions);
    return "connectionId" in resource ? resource.connectionId : undefined;
  }

  /** The refusal of a new connection of this name. */
  newRefusal(
    permissions: Permissions,
    { providerName, userId, label }: ConnectionName,
  ): NexusError | undefined {
    const provider = { name: providerName };
    return this.#requestRefusal(permissions, "connection.request", {
      kind: "request",
      connectionId: undefined,
      userId,
      label,
      provider,
    });
  }

  #acquiredName({ name, mcpServerUrl }: Extract<RequestedResource, { kind: "acquired" }>): ConnectionName {
    if (mcpServerUrl === "") return name;
    return { ...name, providerName: this.deps.mcpNames.find(mcpServerUrl)?.name ?? "" };
  }

  #requestRefusal(
    permissions: Permissions,
    action: Action,
    { connectionId, userId, label, provider: key }: Extract<RequestedResource, { kind: "request" }>,
  ): NexusError | undefined {
    if (connectionId !== undefined && !this.deps.access.visible(permissions, connectionId))
      return new NotFound("connection");
    const provider = key && this.#provider(permissions, key);
    if (key && !provider) return new NotFound("provider");
    if (connectionId !== undefined) return undefined;
    // What is left out is named by the domain's own error.
    const isWithin = permissions.contains({
      kind: "new",
      userId: userId === "" ? undefined : userId,
      label,
      provider,
    });
    return isWithin ? undefined : denied(action);
  }

  #provider(permissions: Permissions, key: ProviderKey): ProviderFacts | undefined {
    const profile = this.#profileOf(key);
    return profile && this.deps.access.seesProvider(permissions, profile) ? profile : undefined;
  }

  /** The request is not validated yet: what can be no key of the store is not looked up. */
  #profileOf(key: ProviderKey): ProviderProfile | undefined {
    if ("id" in key) return isId(key.id) ? this.deps.store.getProvider(key.id) : undefined;
    const name = canonicalName(key.name);
    return /^[a-z0-9-]{1,63}$/.test(name) ? this.deps.store.findProviderByName(name) : undefined;
  }
}
