import type { Principal } from "../../model/access/principal.js";
import { Unimplemented } from "../../model/errors.js";
import {
  canonicalName,
  type ProviderProfile,
  type ProviderSettings,
} from "../../model/providers/provider_profile.js";
import { redirectPathOfMetadata } from "../../model/providers/redirect_path.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import type { ProviderNetworks } from "../../outbound/provider_networks.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Secret } from "../../runtime/secret.js";
import type { Store } from "../../store/store.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { IssuerMetadata } from "../token_endpoint/issuer_metadata.js";
import type { McpServerNames } from "./mcp_server_names.js";
import type { ProviderRegistry } from "./provider_registry.js";

/** A client that a person registered. */
export interface GivenClient {
  readonly clientId: string;
  readonly clientSecret: Secret | undefined;
  /** Where it was registered; empty when the person did not say. */
  readonly issuer: string;
}

/** What a caller says of the profile that is made from a URL. */
export interface McpProfileRequest {
  /** Empty for a name by the host. */
  readonly name: string;
  readonly client: GivenClient | undefined;
  /** What the caller sets takes the place of what is discovered. */
  readonly over: (base: ProviderSettings) => ProviderSettings;
}

/** When a profile is compared with what its server publishes. */
export type McpOccasion = "consent_requested" | "browser_sent" | "client_refused" | "token_refused";

/** Makes the profiles of MCP servers, and brings them in line with their servers. */
export interface McpProfiles {
  /**
   * The profile of a server: the one that exists, looked up again, or with `request` and where there is none, a new one.
   *
   * @throws InvalidArgument, AlreadyExists, FailedPrecondition, Unavailable
   */
  profileOf(url: string, principal: Principal, request?: McpProfileRequest): Promise<ProviderProfile>;
  /**
   * The profile as it is to be used now. What cannot be looked up leaves it as it is.
   *
   * @throws FailedPrecondition when a person has to register a client
   */
  followed(profile: ProviderProfile, occasion: McpOccasion): Promise<ProviderProfile>;
  /**
   * The server refuses the client that the daemon registered. It may have lost it, and is looked up.
   *
   * @returns whether it was; not again within a minute of the last time
   */
  suspended(profile: ProviderProfile): Promise<boolean>;
  /** After a profile with a registration was deleted. */
  deleted(profile: ProviderProfile, remainingConnections: number): Promise<void>;
  /** The Client ID Metadata Document of the profile with this redirect path. */
  clientDocument(redirectPath: string): object | undefined;
}

export interface McpParts {
  readonly store: Store;
  readonly registry: ProviderRegistry;
  readonly names: McpServerNames;
  readonly servers: IssuerMetadata;
  readonly vault: CredentialVault;
  readonly outbound: OutboundFetch;
  readonly networks: ProviderNetworks;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  readonly clock: Clock;
  readonly log: Log;
}

export type OpenMcpProfiles = (parts: McpParts) => Promise<McpProfiles>;

/** Opens `McpProfiles` when the first profile of an MCP server needs it. Without it, existing profiles are used as they are. */
export class McpServers {
  #opened: Promise<McpProfiles> | undefined;

  constructor(
    private readonly open: OpenMcpProfiles | undefined,
    private readonly parts: McpParts,
  ) {}

  /** @throws as `McpProfiles.profileOf`; Unimplemented */
  async profileOf(...request: Parameters<McpProfiles["profileOf"]>): Promise<ProviderProfile> {
    const profiles = await this.#load();
    if (profiles) return await profiles.profileOf(...request);
    throw new Unimplemented(
      "this build of nexusd does not look up MCP servers: create the provider with its endpoints and a client",
    );
  }

  /** @throws as `McpProfiles.followed` */
  async followed(profile: ProviderProfile, occasion: McpOccasion): Promise<ProviderProfile> {
    const profiles = profile.mcpServerUrl === "" ? undefined : await this.#load();
    return (await profiles?.followed(profile, occasion)) ?? profile;
  }

  /** See `McpProfiles.suspended`. */
  async suspended(providerName: string): Promise<boolean> {
    const profile = this.parts.store.findProviderByName(canonicalName(providerName));
    if (profile?.registration?.kind !== "dynamic") return false;
    return (await (await this.#load())?.suspended(profile)) ?? false;
  }

  async deleted(profile: ProviderProfile, remainingConnections: number): Promise<void> {
    if (profile.mcpServerUrl !== "" || profile.registration)
      await (await this.#load())?.deleted(profile, remainingConnections);
  }

  /** The Client ID Metadata Document at a path; undefined where there is none. */
  async clientDocument(path: string): Promise<object | undefined> {
    const redirectPath = redirectPathOfMetadata(path);
    return redirectPath === undefined ? undefined : (await this.#load())?.clientDocument(redirectPath);
  }

  #load(): Promise<McpProfiles> | undefined {
    this.#opened ??= this.open?.(this.parts);
    return this.#opened;
  }
}
