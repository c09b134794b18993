import { canonicalMcpServerUrl } from "../../model/mcp/mcp_server_url.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Store } from "../../store/store.js";

/** Finds the profile of an MCP server. A profile that was found is looked at again, and not searched for. */
export class McpServerNames {
  readonly #names = new Map<string, string>();

  constructor(private readonly deps: { readonly store: Store }) {}

  /** @param url as anybody writes it. @returns the first by name of the profiles of this server */
  find(url: string): ProviderProfile | undefined {
    const mcpServerUrl = canonicalMcpServerUrl(url);
    if (mcpServerUrl === undefined) return undefined;
    const name = this.#names.get(mcpServerUrl);
    const known = name === undefined ? undefined : this.deps.store.findProviderByName(name);
    if (known?.mcpServerUrl === mcpServerUrl) return known;
    this.#names.delete(mcpServerUrl);
    const matches = (profile: ProviderProfile): boolean => profile.mcpServerUrl === mcpServerUrl;
    const [found] = this.deps.store.listProviders({ limit: 1, matches });
    if (found) this.#names.set(mcpServerUrl, found.name);
    return found;
  }
}
