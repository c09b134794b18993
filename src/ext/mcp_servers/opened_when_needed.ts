import type { McpLookup, McpOccasion, McpParts, McpProfileRequest } from "../../domain/profiles/profiles.js";
import type { Principal } from "../../model/access/access.js";
import { canonicalName, type ProviderProfile } from "../../model/providers/providers.js";
import { redirectPathOfMetadata } from "./client_metadata.js";

/** The opened part: called for profiles that it may concern, and no others. */
export interface McpProfiles {
  profileOf: McpLookup["profileOf"];
  followed: McpLookup["followed"];
  deleted: McpLookup["deleted"];
  /** See `McpLookup.suspended`. */
  suspended(profile: ProviderProfile): Promise<boolean>;
  /** The Client ID Metadata Document of the profile with this redirect path. */
  clientDocument(redirectPath: string): object | undefined;
}

/** Opens the profiles when the first one of an MCP server needs them. */
export class OpenedWhenNeeded implements McpLookup {
  #opened: Promise<McpProfiles> | undefined;

  constructor(
    private readonly open: (parts: McpParts) => Promise<McpProfiles>,
    private readonly parts: McpParts,
  ) {}

  async profileOf(url: string, principal: Principal, request?: McpProfileRequest): Promise<ProviderProfile> {
    return await (await this.#load()).profileOf(url, principal, request);
  }

  async followed(profile: ProviderProfile, occasion: McpOccasion): Promise<ProviderProfile> {
    return profile.mcpServerUrl === "" ? profile : await (await this.#load()).followed(profile, occasion);
  }

  async suspended(providerName: string): Promise<boolean> {
    const profile = this.parts.store.findProviderByName(canonicalName(providerName));
    return profile?.registration?.kind === "dynamic" && (await (await this.#load()).suspended(profile));
  }

  async deleted(profile: ProviderProfile, remainingConnections: number): Promise<void> {
    if (profile.mcpServerUrl !== "" || profile.registration)
      await (await this.#load()).deleted(profile, remainingConnections);
  }

  async clientDocument(path: string): Promise<object | undefined> {
    const redirectPath = redirectPathOfMetadata(path);
    return redirectPath === undefined ? undefined : (await this.#load()).clientDocument(redirectPath);
  }

  #load(): Promise<McpProfiles> {
    this.#opened ??= this.open(this.parts);
    return this.#opened;
  }
}
