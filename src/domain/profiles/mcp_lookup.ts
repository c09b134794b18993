import type { Principal } from "../../model/access/principal.js";
import { Unimplemented } from "../../model/errors.js";
import type { ProviderProfile, ProviderSettings } from "../../model/providers/provider_profile.js";
import type { ProviderNetworks } from "../../outbound/address_judge.js";
import type { OutboundFetch } from "../../outbound/outbound_fetch.js";
import type { Secret } from "../../runtime/secret.js";
import type { McpServerNames } from "../access/access.js";
import type { VaultParts } from "../connections/connections.js";
import type { IssuerMetadata } from "../token_endpoint/token_endpoint.js";
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

/** Makes the profiles of MCP servers, and brings them in line with their servers. Other profiles are left as they are. */
export interface McpLookup {
  /**
   * The profile of a server: the one that exists, looked up again, or with `request` and where there is none, a new one.
   *
   * @throws InvalidArgument, AlreadyExists, FailedPrecondition, Unavailable; Unimplemented
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
  suspended(providerName: string): Promise<boolean>;
  deleted(profile: ProviderProfile, remainingConnections: number): Promise<void>;
  /** The Client ID Metadata Document at a path; undefined where there is none. */
  clientDocument(path: string): Promise<object | undefined>;
}

/** Existing profiles are used as they are. */
export const noMcpLookup: McpLookup = {
  profileOf: async () => {
    throw new Unimplemented(
      "this build of nexusd does not look up MCP servers: create the provider with its endpoints and a client",
    );
  },
  followed: async (profile) => profile,
  suspended: async () => false,
  deleted: async () => undefined,
  clientDocument: async () => undefined,
};

export interface McpParts extends VaultParts {
  readonly registry: ProviderRegistry;
  readonly names: McpServerNames;
  readonly servers: IssuerMetadata;
  readonly outbound: OutboundFetch;
  readonly networks: ProviderNetworks;
  /** Without a trailing slash. */
  readonly publicUrl: string;
}

export type OpenMcpLookup = (parts: McpParts) => McpLookup;
