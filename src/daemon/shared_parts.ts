import type { AskApprovers } from "../domain/access/request_rules.js";
import { PendingConsents } from "../domain/consent/pending_consents.js";
import { CredentialReader, TokenCache } from "../domain/credentials/credential_reader.js";
import { CredentialVault } from "../domain/credentials/credential_vault.js";
import { CredentialWriter } from "../domain/credentials/credential_writer.js";
import { namingLog } from "../domain/operations/naming_log.js";
import type { OpenMcpLookup } from "../domain/providers/mcp_lookup.js";
import { McpServerNames } from "../domain/providers/mcp_server_names.js";
import { RevocationQueue } from "../domain/revocation/revocation_queue.js";
import { AssertionFiles } from "../domain/token_endpoint/assertion_files.js";
import { ClientKeys } from "../domain/token_endpoint/client_keys.js";
import type { GrantTypeRow } from "../domain/token_endpoint/grant_type.js";
import { GrantTypes, TokenSources } from "../domain/token_endpoint/grant_types.js";
import { IssuerMetadata, type MetadataPlace } from "../domain/token_endpoint/issuer_metadata.js";
import { KeyFiles } from "../domain/token_endpoint/key_files.js";
import { TokenEndpointClient } from "../domain/token_endpoint/token_endpoint_client.js";
import type { OpenDownscoping } from "../domain/tokens/downscoping.js";
import { ReadAudit } from "../domain/tokens/read_audit.js";
import { Subscribers } from "../domain/tokens/watch/subscribers.js";
import { noTracing } from "../model/tracing.js";
import { fetchDiscoveryDocument, fetchServerMetadata } from "../oauth/discovery.js";
import { createOutboundFetch } from "../outbound/outbound_fetch.js";
import { Changes } from "../runtime/changes.js";
import { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { DomainHub } from "./hub/hub_interfaces.js";
import type { DaemonOptions, Resources } from "./resources.js";

export type DomainOptions = Pick<
  DaemonOptions,
  "config" | "tracing" | "tracedOutbound" | "clock" | "random" | "log"
> & {
  /** Grant types beside those of the core. */
  readonly grantTypes?: readonly GrantTypeRow[];
  readonly downscoping?: OpenDownscoping | undefined;
  readonly mcpLookup?: OpenMcpLookup | undefined;
  /** What makes the daemon a hub of a fleet. */
  readonly hub?: DomainHub | undefined;
  /** Who is asked about held requests. */
  readonly approver?: () => AskApprovers | undefined;
};
export type DomainResources = Pick<Resources, "store" | "opened" | "spoolFile" | "metrics">;
export type Shared = ReturnType<typeof sharedParts>;

/** Readers of downscoped tokens remembered: an entry holds what was asked for, up to 15 KiB. */
const maxDownscopedReads = 4_096;

/** What most parts need. */
export function sharedParts(options: DomainOptions, { store, opened }: DomainResources) {
  const { config, tracing = noTracing, clock, random } = options;
  const log = namingLog(options.log, store);
  const networks = config.providerNetworks;
  const untraced = createOutboundFetch({ networks, proxies: config.webProxies, ...options.hub?.sending });
  const outbound = options.tracedOutbound?.(untraced) ?? untraced;
  const vault = new CredentialVault({ vault: opened.vault, databaseId: store.databaseId });
  const fetchDocument = (issuer: string, place: MetadataPlace): Promise<string> =>
    place === "mcp" ? fetchServerMetadata(issuer, outbound) : fetchDiscoveryDocument(issuer, outbound);
  const servers = new IssuerMetadata({ store, clock, log, fetchDocument, networks });
  const changes = new Changes();
  store.onCommitted((changed) => changes.emit("connections", changed));
  store.onApplied((applied) => changes.emit("followed", applied));
  const clientKeys = new ClientKeys({ store, vault, clock, log });
  const assertionFiles = new AssertionFiles({ ...config, clock });
  const keyFiles = new KeyFiles(config);
  const proofs = { vault, clientKeys, assertionFiles, keyFiles };
  const grantTypes = new GrantTypes(options.grantTypes);
  const writer = new CredentialWriter({ vault, clock, random });
  const sources = new TokenSources({
    ...{ types: grantTypes, store },
    parts: () => ({ store, vault, writer, servers, grants, clock, limits: config.limits }),
  });
  const grants = new TokenEndpointClient({
    ...{ ...proofs, clock, sources, servers },
    outbound: options.hub?.watched?.(outbound) ?? outbound,
  });
  const revocations = new RevocationQueue({ vault, clock });
  return {
    ...{ config, networks, outbound, store, vault, servers, changes, clientKeys, assertionFiles, keyFiles },
    ...{ grants, grantTypes, sources, writer, tracing, clock, random, log },
    reader: new CredentialReader({
      ...{ vault, clock, cache: new TokenCache(changes) },
      store: options.hub?.hubOnlyParts?.withoutProfiles(store) ?? store,
    }),
    revocations,
    pending: new PendingConsents({ vault, revocations, clock }),
    mcpNames: new McpServerNames({ store }),
    readAudit: new ReadAudit({ store, clock, log }),
    downscopedAudit: new ReadAudit({ store, clock, log, maxEntries: maxDownscopedReads }),
    subscribers: new Subscribers({ changes }),
    fleet: options.hub,
    /** One token request per connection. */
    locks: new KeyedMutex<string>(),
  };
}
