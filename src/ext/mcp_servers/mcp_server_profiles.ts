import type { McpOccasion, McpParts, McpProfileRequest } from "../../domain/profiles/profiles.js";
import { daemon, type Principal } from "../../model/access/access.js";
import { AlreadyExists, FailedPrecondition, InvalidArgument, NexusError } from "../../model/model.js";
import { canonicalMcpServerUrl, type ProviderProfile } from "../../model/providers/providers.js";
import { judgeUrl, type ProviderNetworks } from "../../outbound/outbound.js";
import { BoundedMap, KeyedMutex } from "../../runtime/runtime.js";
import { ClientReplacement } from "./client_replacement.js";
import { type ClientDocument, McpClients, type ProfileClient } from "./mcp_clients.js";
import { boundIssuer, type DiscoveredMcpServer, issuerOf, McpDiscovery } from "./mcp_discovery.js";
import { settingsOfMcpServer } from "./mcp_settings.js";
import type { McpProfiles } from "./opened_when_needed.js";

/** What was looked up so lately is not looked up again before a person consents. */
const freshMs = 60_000;

interface ProfileDeps extends McpParts {
  readonly discovery: McpDiscovery;
  readonly clients: McpClients;
}

/** Called when the first profile of an MCP server is needed. */
export function openMcpProfiles(parts: McpParts): McpProfiles {
  return new McpServerProfiles({
    ...parts,
    discovery: new McpDiscovery(parts),
    clients: new McpClients(parts),
  });
}

/** Profiles that are made from the URL of an MCP server, and follow it to another authorization server. */
export class McpServerProfiles implements McpProfiles {
  readonly #locks = new KeyedMutex<string>();
  readonly #lookedUpAtMs = new Map<string, number>();
  /** When the last look-up began, whatever came of it. */
  readonly #triedAtMs = new Map<string, number>();
  /** Profiles with whose client a browser went to the server a moment after its registration. */
  readonly #visited = new BoundedMap<string, true>(1_024);
  readonly #replacement: ClientReplacement;

  constructor(private readonly deps: ProfileDeps) {
    this.#replacement = new ClientReplacement(deps);
  }

  async profileOf(url: string, principal: Principal, request?: McpProfileRequest): Promise<ProviderProfile> {
    const mcpServerUrl = canonicalUrl(url, this.deps.networks);
    return await this.#locks.run(mcpServerUrl, async () => {
      const existing = request?.name ? undefined : this.deps.names.find(mcpServerUrl);
      if (existing && request === undefined) return await this.#follow(existing, principal);
      if (existing) {
        const words = `the provider ${existing.name} is for this MCP server already: update it, or give another name`;
        throw new AlreadyExists(words);
      }
      return await this.#make(mcpServerUrl, principal, request);
    });
  }

  async followed(profile: ProviderProfile, occasion: McpOccasion): Promise<ProviderProfile> {
    switch (occasion) {
      case "consent_requested":
        return await this.#current(profile);
      case "browser_sent":
        return await this.#sent(profile);
      case "client_refused":
        return await this.#refused(profile);
      case "token_refused":
        return await this.#lookUp(profile);
    }
  }

  /** Its MCP server may name another authorization server by now. */
  async #current(profile: ProviderProfile): Promise<ProviderProfile> {
    const ageMs = this.deps.clock.nowMs() - (this.#lookedUpAtMs.get(profile.id) ?? Number.NEGATIVE_INFINITY);
    return ageMs < freshMs ? profile : await this.#lookUp(profile);
  }

  /** A caller that asks while that goes on shares the next one. */
  async #lookUp(profile: ProviderProfile): Promise<ProviderProfile> {
    const { mcpServerUrl, id } = profile;
    const startedAtMs = this.deps.clock.nowMs();
    return await this.#locks.run(mcpServerUrl, async () => {
      const stored = this.deps.store.getProvider(id) ?? profile;
      if ((this.#triedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) > startedAtMs) return stored;
      this.#triedAtMs.set(id, this.deps.clock.nowMs());
      try {
        return await this.#follow(stored, daemon);
      } catch (error) {
        if (!(error instanceof NexusError)) throw error;
        const isInteractionRequired =
          error instanceof FailedPrecondition && error.reason === "CLIENT_REGISTRATION_REQUIRED";
        if (isInteractionRequired) {
          this.#triedAtMs.delete(id);
          throw error;
        }
        this.deps.log.warn({ providerId: id, error: error.message }, "MCP server not looked up");
        return stored;
      }
    });
  }

  async suspended(profile: ProviderProfile): Promise<boolean> {
    const { store, clock } = this.deps;
    const suspension = store.getSuspension(profile.id);
    if (!suspension) return false;
    const triedAtMs = this.#triedAtMs.get(profile.id) ?? Number.NEGATIVE_INFINITY;
    if (triedAtMs >= suspension.sinceMs && clock.nowMs() - triedAtMs < freshMs) return false;
    await this.#lookUp(profile);
    return true;
  }

  /**
   * Before a browser is sent to the authorization endpoint: a client that the daemon registered and the server has lost is registered again.
   *
   * @returns the profile to send the browser with
   */
  async #sent(profile: ProviderProfile): Promise<ProviderProfile> {
    if (profile.registration?.kind !== "dynamic" || this.#isFirstVisit(profile)) return profile;
    const server = await this.deps.servers.resolve(profile);
    if (!(await this.deps.clients.isTurnedAway(server, profile, profile.clientId))) return profile;
    return await this.#changed(profile, (discovered) => this.#replacement.tried(profile, discovered, daemon));
  }

  /** A server that registered the client a moment ago knows it: it is asked from the second time on. */
  #isFirstVisit({ id, updatedAtMs }: ProviderProfile): boolean {
    if (this.deps.clock.nowMs() - updatedAtMs >= freshMs || this.#visited.get(id)) return false;
    this.#visited.set(id, true);
    return true;
  }

  /**
   * The token endpoint refused the client of a consent: one that the daemon registered, and that no connection is active with, is
   * registered once more, for another method.
   */
  async #refused(profile: ProviderProfile): Promise<ProviderProfile> {
    if (profile.registration?.kind !== "dynamic") return profile;
    return await this.#changed(profile, (discovered) =>
      this.#replacement.varied(profile, discovered, daemon),
    );
  }

  /** Where nobody changed it meanwhile, and its server is where it was. What fails leaves it as it is. */
  async #changed(
    profile: ProviderProfile,
    change: (discovered: DiscoveredMcpServer) => Promise<ProviderProfile>,
  ): Promise<ProviderProfile> {
    const { store, discovery, log } = this.deps;
    return await this.#locks.run(profile.mcpServerUrl, async () => {
      if (store.getProvider(profile.id)?.version !== profile.version) return profile;
      try {
        const discovered = await discovery.discover(profile.mcpServerUrl, boundIssuer(profile));
        return issuerOf(discovered.server) === boundIssuer(profile) ? await change(discovered) : profile;
      } catch (error) {
        if (!(error instanceof NexusError)) throw error;
        log.warn({ providerId: profile.id, error: error.message }, "client not registered again");
        return profile;
      }
    });
  }

  clientDocument(redirectPath: string): ClientDocument | undefined {
    const profiles = this.deps.store.listProviders({
      limit: Number.POSITIVE_INFINITY,
      matches: ({ registration }) => registration?.kind === "metadata_document",
    });
    return this.deps.clients.document(redirectPath, profiles);
  }

  /** Nothing needs its client any more, unless it left connections whose tokens live. */
  async deleted(profile: ProviderProfile, remainingConnections: number): Promise<void> {
    this.#lookedUpAtMs.delete(profile.id);
    this.#triedAtMs.delete(profile.id);
    if (remainingConnections === 0) await this.deps.clients.forget(profile.id, profile.registration);
  }

  async #make(
    mcpServerUrl: string,
    principal: Principal,
    request: McpProfileRequest | undefined,
  ): Promise<ProviderProfile> {
    const { registry, discovery, clients, clock } = this.deps;
    const discovered = await discovery.discover(mcpServerUrl);
    const name = request?.name || this.#freeName(nameOfMcpServer(mcpServerUrl));
    const reserved = registry.reserve(name);
    let client: ProfileClient | undefined;
    try {
      client = await clients.clientAt(discovered, reserved, request?.client);
      const base = settingsOfMcpServer(name, discovered, client);
      const settings = request?.over(base) ?? base;
      const made = { id: reserved.id, registration: client.registration };
      const profile = await registry.create(settings, client.clientSecret, principal, made);
      this.#lookedUpAtMs.set(profile.id, clock.nowMs());
      return profile;
    } catch (error) {
      if (client?.registration) await clients.forget(reserved.id, client.registration);
      throw error;
    } finally {
      registry.release(reserved);
    }
  }

  /** Looks the server up, and brings the profile in line. */
  async #follow(profile: ProviderProfile, principal: Principal): Promise<ProviderProfile> {
    const { discovery, clock, log } = this.deps;
    const from = boundIssuer(profile);
    const discovered = await discovery.discover(profile.mcpServerUrl, from);
    const to = issuerOf(discovered.server);
    const isMoved = from !== to;
    if (isMoved)
      log.info({ providerId: profile.id, from, to }, "MCP server names another authorization server");
    const followed = isMoved
      ? await this.#move(profile, discovered, principal)
      : await this.#replacement.kept(profile, discovered, principal);
    this.#lookedUpAtMs.set(profile.id, clock.nowMs());
    return followed;
  }

  /** Another server: it never gets the client that was registered at the old one. */
  async #move(
    profile: ProviderProfile,
    discovered: DiscoveredMcpServer,
    principal: Principal,
  ): Promise<ProviderProfile> {
    if (!profile.registration) {
      throw new FailedPrecondition(
        "CLIENT_REGISTRATION_REQUIRED",
        `${profile.mcpServerUrl} now names the authorization server ${issuerOf(discovered.server)}, and the client of the provider ${profile.name} was registered at ${boundIssuer(profile)}: register one there, then update client_id, client_secret and issuer`,
      );
    }
    const moved = await this.#replacement.replaced(profile, discovered, principal);
    await this.deps.clients.forget(profile.id, profile.registration);
    return moved;
  }

  #freeName(name: string): string {
    for (let number = 1; ; number++) {
      const candidate = number === 1 ? name : `${name}-${number}`;
      if (this.deps.registry.isFree(candidate)) return candidate;
    }
  }
}

/** @throws InvalidArgument */
function canonicalUrl(url: string, networks: ProviderNetworks): string {
  const refused = (description: string): InvalidArgument =>
    new InvalidArgument([{ field: "mcp_server_url", description }]);
  const mcpServerUrl = canonicalMcpServerUrl(url);
  if (mcpServerUrl === undefined) {
    throw refused("must be an https URL (http only on loopback), without a user name and a fragment");
  }
  const { hostname } = new URL(mcpServerUrl);
  const refusal = judgeUrl(new URL(mcpServerUrl), networks);
  if (refusal) throw refused(`${hostname} ${refusal.why}`);
  return mcpServerUrl;
}

/** A name for the profile of the server, by its host: `mcp-example-com`. */
export function nameOfMcpServer(mcpServerUrl: string): string {
  const { host } = new URL(mcpServerUrl);
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name.slice(0, 55).replace(/-+$/, "") || "mcp";
}
