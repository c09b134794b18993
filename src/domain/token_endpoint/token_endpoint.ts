import type { Limits } from "../../model/limits.js";
import { fetchDiscoveryDocument, fetchServerMetadata } from "../../oauth/discovery.js";
import type { ProviderNetworks } from "../../outbound/address_judge.js";
import { type AuthorityFiles, trusting } from "../../outbound/certificate_authorities.js";
import type { OutboundFetch } from "../../outbound/outbound_fetch.js";
import type { CredentialWriter, VaultParts } from "../connections/connections.js";
import { AssertionFiles } from "./assertion_files.js";
import { ClientKeys } from "./client_keys.js";
import type { GrantTypeRow } from "./grant_type.js";
import { GrantTypes, TokenSources } from "./grant_types.js";
import { IssuerMetadata, type MetadataPlace } from "./issuer_metadata.js";
import { KeyFiles } from "./key_files.js";
import { TokenEndpointClient } from "./token_endpoint_client.js";

export { AssertionFiles } from "./assertion_files.js";
export { ClientKeys, type PublishedKey } from "./client_keys.js";
export { connectionKey, refreshKey } from "./dpop_keys.js";
export type {
  GrantParts,
  GrantType,
  GrantTypeRow,
  IdTokenImport,
  RefreshRequest,
  TokenSource,
} from "./grant_type.js";
export { GrantTypes, grantViolations, TokenSources } from "./grant_types.js";
export { IssuerMetadata, refuseWithoutAuthorization } from "./issuer_metadata.js";
export { KeyFiles } from "./key_files.js";
export { type PushedLocation, PushedRequests } from "./pushed_requests.js";
export { refusalWords, refusedClientAdvice } from "./refused_client.js";
export { GrantMoved, TokenEndpointClient } from "./token_endpoint_client.js";
export { UserInfoClient } from "./user_info_client.js";

/** What is sent to authorization servers, and by what the daemon proves there who it is. */
export interface TokenEndpoint {
  /** Where the endpoints of a profile are. */
  readonly servers: IssuerMetadata;
  readonly grantTypes: GrantTypes;
  /** How the tokens of each grant type come. */
  readonly sources: TokenSources;
  /** The requests. */
  readonly grants: TokenEndpointClient;
  readonly clientKeys: ClientKeys;
  readonly assertionFiles: AssertionFiles;
  readonly keyFiles: KeyFiles;
}

export interface TokenEndpointDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly outbound: OutboundFetch;
  /** The way out of token requests, where its outcomes are noted; `outbound` by default. */
  readonly watchedOutbound?: OutboundFetch | undefined;
  readonly networks: ProviderNetworks;
  /** Grant types beside those of the core. */
  readonly grantTypes: readonly GrantTypeRow[];
  readonly limits: Limits;
  /** Absolute paths by name, of `NEXUS_CLIENT_ASSERTION_FILES`. */
  readonly clientAssertionFiles: Readonly<Record<string, string>>;
  /** Absolute paths by name, of `NEXUS_SIGNING_KEY_FILES`. */
  readonly clientKeyFiles: Readonly<Record<string, string>>;
  readonly authorityFiles: AuthorityFiles;
}

export function openTokenEndpoint(deps: TokenEndpointDeps): TokenEndpoint {
  const { store, vault, writer, outbound, networks, clock, log, limits, authorityFiles } = deps;
  const fetchDocument = (issuer: string, place: MetadataPlace, apiCaFile: string): Promise<string> => {
    const own = trusting(outbound, authorityFiles, apiCaFile);
    return place === "mcp" ? fetchServerMetadata(issuer, own) : fetchDiscoveryDocument(issuer, own);
  };
  const servers = new IssuerMetadata({ store, clock, log, fetchDocument, networks });
  const clientKeys = new ClientKeys({ store, vault, clock, log });
  const assertionFiles = new AssertionFiles(deps);
  const keyFiles = new KeyFiles(deps);
  const grantTypes = new GrantTypes(deps.grantTypes);
  const sources = new TokenSources({
    types: grantTypes,
    store,
    parts: () => ({ store, vault, writer, servers, grants, clock, limits }),
  });
  const grants = new TokenEndpointClient({
    vault,
    clientKeys,
    assertionFiles,
    keyFiles,
    authorityFiles,
    clock,
    sources,
    servers,
    outbound: deps.watchedOutbound ?? outbound,
  });
  return { servers, grantTypes, sources, grants, clientKeys, assertionFiles, keyFiles };
}
