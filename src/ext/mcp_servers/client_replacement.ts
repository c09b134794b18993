import type { ProviderRegistry } from "../../domain/profiles/profiles.js";
import type { Principal } from "../../model/access/access.js";
import type { ProviderProfile } from "../../model/providers/providers.js";
import type { Log } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import type { McpClients, ProfileClient } from "./mcp_clients.js";
import type { DiscoveredMcpServer } from "./mcp_discovery.js";
import { settingsOfServer } from "./mcp_settings.js";

export interface ClientReplacementDeps {
  readonly store: Store;
  readonly registry: ProviderRegistry;
  readonly clients: McpClients;
  readonly log: Log;
}

/** Servers forget clients that registered themselves, and end their secrets: then another one takes their place in the profile. */
export class ClientReplacement {
  /** Profiles whose authorization endpoint turned a new client away, too: that says nothing there. */
  readonly #mute = new Set<string>();

  constructor(private readonly deps: ClientReplacementDeps) {}

  /** The profile after a look-up. @throws as `replaced` */
  async kept(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const { clients, store, log } = this.deps;
    if (profile.registration?.kind !== "dynamic") return profile;
    const known = await clients.reread(discovered, profile);
    if (typeof known !== "string") return await this.#put(profile, discovered, known, principal);
    const suspension = store.getSuspension(profile.id);
    const isSuspended = suspension?.profileVersion === profile.version && !suspension.resuming;
    if (known === "unchanged" || (known === "unknown" && !isSuspended)) return profile;
    // Refused for one connection of several, which may be its grant's fault: another client costs each person a consent.
    const isDoubtful =
      known === "unknown" && suspension?.unconfirmed && store.countConnections(profile.id) > 1;
    if (isDoubtful) {
      const isTurnedAway = await clients.isTurnedAway(discovered.server, profile, profile.clientId);
      return isTurnedAway ? await this.tried(profile, discovered, principal) : profile;
    }
    log.warn({ providerId: profile.id }, "the authorization server lost the client: it is registered again");
    return await this.replaced(profile, discovered, principal);
  }

  /** With another client. @throws FailedPrecondition when a person has to register one; Unavailable */
  async replaced(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const client = await this.deps.clients.clientAt(discovered, profile);
    return await this.#put(profile, discovered, client, principal);
  }

  /** The authorization endpoint turned the client away: with another one, if that is let through and the old one is still not. @throws as `replaced` */
  async tried(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const { clients, log } = this.deps;
    const { id } = profile;
    if (this.#mute.has(id)) return profile;
    const client = await clients.clientAt(discovered, profile);
    const isTurnedAway = (clientId: string) => clients.isTurnedAway(discovered.server, profile, clientId);
    if (!(await isTurnedAway(client.clientId)) && (await isTurnedAway(profile.clientId))) {
      log.warn(
        { providerId: id },
        "the authorization endpoint does not know the client: it is registered again",
      );
      return await this.#put(profile, discovered, client, principal);
    }
    this.#mute.add(id);
    await clients.forget(id, client.registration);
    return profile;
  }

  /** The token endpoint refused the client: registered for another method, unless a connection has proved that it is good. @throws as `replaced` */
  async varied(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const { store, clients, log } = this.deps;
    const connections = store.listConnections({ providerId: profile.id, limit: Number.POSITIVE_INFINITY });
    if (connections.some(({ status }) => status === "active")) return profile;
    const client = await clients.otherClientAt(discovered, profile);
    if (!client) return profile;
    const methods = { from: profile.tokenEndpointAuthMethod, to: client.method };
    log.warn(
      { providerId: profile.id, ...methods },
      "the client was refused: it is registered for another method",
    );
    const varied = await this.#put(profile, discovered, client, principal);
    await clients.forget(profile.id, profile.registration);
    return varied;
  }

  /** A client that the profile does not come to hold is not left behind. */
  async #put(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    client: ProfileClient,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const { registry, clients } = this.deps;
    const { clientSecret = null, registration } = client;
    const settings = settingsOfServer(profile, discovered, client);
    const change = { settings, clientSecret, registration };
    try {
      return (await registry.update(profile.id, change, profile.version, principal)).profile;
    } catch (error) {
      if (registration && client.clientId !== profile.clientId)
        await clients.forget(profile.id, registration);
      throw error;
    }
  }
}
