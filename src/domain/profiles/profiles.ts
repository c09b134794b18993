import type { ProviderNetworks } from "../../outbound/address_judge.js";
import type { AuthorityFiles } from "../../outbound/certificate_authorities.js";
import type { OutboundFetch } from "../../outbound/outbound_fetch.js";
import type { Changes } from "../../runtime/changes.js";
import { McpServerNames } from "../access/access.js";
import type { VaultParts } from "../connections/connections.js";
import type { TokenEndpoint } from "../token_endpoint/token_endpoint.js";
import { DiscoveryTrial } from "./discovery_trial.js";
import { type McpLookup, noMcpLookup, type OpenMcpLookup } from "./mcp_lookup.js";
import { ProviderRegistry } from "./provider_registry.js";

export { DiscoveryTrial } from "./discovery_trial.js";
export type {
  GivenClient,
  McpLookup,
  McpOccasion,
  McpParts,
  McpProfileRequest,
  OpenMcpLookup,
} from "./mcp_lookup.js";
export { type ProviderChange, ProviderRegistry, type ReservedProfile } from "./provider_registry.js";
export {
  limitedScopes,
  profileNamed,
  profileOf,
  refuseOtherName,
  refuseRevoked,
  scopesFor,
} from "./requested_profile.js";
export { type CaptureField, formTokenField } from "./static/capture_field.js";
export { captureFields, enteredValues, generalViolations } from "./static/capture_fields.js";
export { CredentialTrial } from "./static/credential_probe.js";
export { schemaOf } from "./static/credential_schema.js";
export { checkCredential } from "./static/credential_values.js";

/** The profiles. */
export interface Profiles {
  /** Creates, checks, changes, and deletes them. */
  readonly registry: ProviderRegistry;
  /** What would keep a person from consenting at one. */
  readonly trial: DiscoveryTrial;
  /** Makes those of MCP servers. */
  readonly mcp: McpLookup;
  /** Finds those of MCP servers by their URL. */
  readonly mcpNames: McpServerNames;
}

export interface ProfilesDeps extends VaultParts {
  readonly changes: Changes;
  readonly endpoint: TokenEndpoint;
  readonly outbound: OutboundFetch;
  readonly networks: ProviderNetworks;
  readonly authorityFiles: AuthorityFiles;
  /** See `RedirectPaths`. */
  readonly sharedRedirectUri: boolean;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  readonly mcpLookup: OpenMcpLookup | undefined;
}

export function openProfiles(deps: ProfilesDeps): Profiles {
  const { store, vault, changes, endpoint, outbound, networks, publicUrl, clock, log } = deps;
  const { servers, grantTypes, clientKeys, assertionFiles, keyFiles } = endpoint;
  const registry = new ProviderRegistry({
    networks,
    assertionFiles,
    keyFiles,
    authorityFiles: deps.authorityFiles,
    store,
    vault,
    grantTypes,
    clock,
    sharedRedirectUri: deps.sharedRedirectUri,
    clientKeys,
    onChanged: (providerId) => void changes.emit("provider", providerId),
  });
  changes.on("followed", ({ providerIds }) => registry.followed(providerIds));
  const mcpNames = new McpServerNames({ store });
  const mcp = deps.mcpLookup?.({
    store,
    registry,
    names: mcpNames,
    servers,
    vault,
    outbound,
    networks,
    publicUrl,
    clock,
    log,
  });
  return { registry, trial: new DiscoveryTrial({ servers, clock }), mcp: mcp ?? noMcpLookup, mcpNames };
}
