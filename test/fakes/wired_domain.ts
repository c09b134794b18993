import { openAccess } from "../../src/domain/access/access.js";
import type { AccessControl } from "../../src/domain/access/access_control.js";
import type { ApiKeys } from "../../src/domain/access/api_keys.js";
import type { ConnectionNames } from "../../src/domain/access/connection_names.js";
import { McpServerNames } from "../../src/domain/access/mcp_server_names.js";
import type { AskApprovers, RequestRules } from "../../src/domain/access/request_rules.js";
import type { SessionMemory } from "../../src/domain/access/session_memory.js";
import type { UseCounts } from "../../src/domain/access/use_limits.js";
import { CredentialReader, TokenCache } from "../../src/domain/connections/credential_reader.js";
import { CredentialVault } from "../../src/domain/connections/credential_vault.js";
import { CredentialWriter } from "../../src/domain/connections/credential_writer.js";
import type { CodeConsent } from "../../src/domain/consent/code.js";
import {
  type ConnectionRequests,
  type ConsentConfirmation,
  type Consents,
  openConsents,
} from "../../src/domain/consent/consent.js";
import type { DevicePoller } from "../../src/domain/consent/device.js";
import { type Grants, type GrantsDeps, openGrants } from "../../src/domain/grants/grants.js";
import type { RefreshEngine } from "../../src/domain/grants/refresh_engine.js";
import type { Refresher } from "../../src/domain/grants/refresher.js";
import type { TokenSpool } from "../../src/domain/grants/token_spool.js";
import { noMcpLookup } from "../../src/domain/profiles/mcp_lookup.js";
import { ProviderRegistry } from "../../src/domain/profiles/provider_registry.js";
import { CredentialTrial } from "../../src/domain/profiles/static/credential_probe.js";
import type { ConnectionImporter } from "../../src/domain/provisioning/connection_importer.js";
import type { ImportRecovery } from "../../src/domain/provisioning/import_recovery.js";
import {
  type Connections,
  openProvisioning,
  type Provisioning,
} from "../../src/domain/provisioning/provisioning.js";
import type { UnattendedConnector } from "../../src/domain/provisioning/unattended_connector.js";
import type { TokenAcquirer } from "../../src/domain/reading/acquire/token_acquirer.js";
import type { Downscoping } from "../../src/domain/reading/downscoping.js";
import { ReadAudit } from "../../src/domain/reading/read_audit.js";
import { type Injected, openReading, type Reading } from "../../src/domain/reading/reading.js";
import type { RejectedTokens } from "../../src/domain/reading/report/rejected_tokens.js";
import type { Tokens } from "../../src/domain/reading/tokens.js";
import type { Subscribers } from "../../src/domain/reading/watch/subscribers.js";
import { GrantTypes, TokenSources } from "../../src/domain/token_endpoint/grant_types.js";
import { IssuerMetadata } from "../../src/domain/token_endpoint/issuer_metadata.js";
import { TokenEndpointClient } from "../../src/domain/token_endpoint/token_endpoint_client.js";
import { UserInfoClient } from "../../src/domain/token_endpoint/user_info_client.js";
import { extensions } from "../../src/ext/extensions.js";
import { owner } from "../../src/model/access/principal.js";
import { defaultLimits } from "../../src/model/limits.js";
import type { ProviderSettings } from "../../src/model/providers/provider_profile.js";
import { noTracing, type Tracing } from "../../src/model/tracing.js";
import type { OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { Changes } from "../../src/runtime/changes.js";
import type { Clock } from "../../src/runtime/clock.js";
import type { SpoolFile } from "../../src/store/files/spool_file.js";
import type { Store } from "../../src/store/store.js";
import { Vault } from "../../src/vault/vault.js";
import { plainSettings } from "../samples.js";
import { silentLog } from "../silent_log.js";
import { loopbackNetworks } from "./loopback_networks.js";

/** What a test plays of the requests at a token endpoint. */
type Sends = Pick<TokenEndpointClient, "refresh" | "exchangeCode"> &
  Partial<Pick<TokenEndpointClient, "mint" | "authorizeDevice" | "pollDevice">>;

const notHere = () => Promise.reject(new Error("nothing of it is here"));

/** Puts no read on record. */
class Unrecorded extends ReadAudit {
  override read(): undefined {}
  override async refused(): Promise<void> {}
  override announce(): undefined {}
  override recordWithin(): void {}
}

/** The domain as core/open_domain.ts opens it, room by room, without listeners, over a store and a network that a test may stand in front of. */
export class WiredDomain {
  readonly changes = new Changes();
  readonly vault: CredentialVault;
  readonly reader: CredentialReader;
  readonly writer: CredentialWriter;
  readonly engine: RefreshEngine;
  readonly tokens: Tokens;
  readonly access: AccessControl;
  readonly keys: ApiKeys;
  readonly names: ConnectionNames;
  readonly rules: RequestRules;
  /** Asked about requests that a rule holds. */
  approver: AskApprovers | undefined;
  /** Remembers what requests did. */
  memory: SessionMemory | undefined;
  uses: UseCounts | undefined;
  readonly downscoped: Downscoping;
  readonly rejected: RejectedTokens;
  readonly acquirer: TokenAcquirer;
  readonly apiNonces: Injected["apiNonces"];
  readonly subscribers: Subscribers;
  readonly refresh: Grants;
  readonly opened: Provisioning;
  readonly reading: Reading;
  readonly connections: Connections;
  readonly consents: Consents;
  readonly requests: ConnectionRequests;
  readonly importer: ConnectionImporter;
  readonly recovery: ImportRecovery;
  readonly unattended: UnattendedConnector;
  readonly completer: CodeConsent;
  readonly poller: DevicePoller;
  readonly confirmer: ConsentConfirmation;
  readonly spool: TokenSpool;
  readonly providers: ProviderRegistry;

  /** Answers whether a provider takes the fields of a static type. */
  onTrial: CredentialTrial["try"] = () => Promise.resolve(undefined);

  /** The caller emits `connections` at commits, and starts `engine`. */
  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly random: () => number;
    /** Answers what the token endpoint is asked, unless `grants` do. */
    readonly outbound?: OutboundFetch;
    readonly grants?: Sends;
    readonly metrics?: GrantsDeps["metrics"];
    readonly spoolFile?: SpoolFile | undefined;
    /** Whether tokens are read as in a daemon, where every commit is announced. */
    readonly isCached?: boolean;
    /** Whether reads of tokens go on record. */
    readonly isAudited?: boolean;
    readonly tracing?: Tracing;
    readonly maxRejectionsPerHour?: number;
    readonly member?: { readonly leads: boolean };
    /** Refreshes that callers wait for, of a hub that may not lead. */
    readonly led?: (own: Refresher) => Pick<Refresher, "refresh">;
  }) {
    const { store, clock } = options;
    const outbound = options.outbound ?? (() => Promise.reject(new Error("no network")));
    const vault = testVault(store);
    const shared = { store, vault, clock, random: options.random, log: silentLog, changes: this.changes };
    const servers = new IssuerMetadata({
      ...shared,
      networks: loopbackNetworks,
      fetchDocument: () => Promise.reject(new Error()),
    });
    const grantTypes = new GrantTypes(extensions.flatMap((extension) => extension.grantTypes ?? []));
    const writer = new CredentialWriter(shared);
    const mint: TokenEndpointClient["mint"] = (...request) =>
      grants.mint?.(...request) ?? Promise.reject(new Error("nothing is minted here"));
    const sources = new TokenSources({
      ...{ types: grantTypes, store },
      parts: () => ({ ...shared, writer, servers, grants: { mint }, limits: defaultLimits }),
    });
    const grants: Sends = options.grants ?? new TokenEndpointClient({ vault, clock, outbound, sources });
    const metrics = options.metrics ?? { refreshed: () => {}, replaced: () => {}, spooled: () => {} };
    this.vault = vault;
    this.writer = writer;
    const cache = options.isCached ? new TokenCache(this.changes) : undefined;
    this.reader = new CredentialReader({ ...shared, ...(cache && { cache }) });
    const refusesOtherAccounts = true;
    const refresh = openGrants({
      ...{ ...shared, writer, metrics, refusesOtherAccounts, spoolFile: options.spoolFile },
      endpoint: {
        servers,
        sources,
        grants: { refresh: (request) => grants.refresh(request), revoke: notHere },
      },
      tracing: noTracing,
    });
    const { spool, revocations, pending, locks } = refresh;
    this.refresh = refresh;
    this.spool = spool;
    this.engine = refresh.engine;
    const onChanged = (providerId: string): void => void this.changes.emit("provider", providerId);
    this.providers = new ProviderRegistry({
      ...{ ...shared, networks: loopbackNetworks, grantTypes, onChanged },
    });
    this.changes.on("followed", ({ providerIds }) => this.providers.followed(providerIds));
    this.consents = openConsents({
      ...{ ...shared, servers, revocations, pending, spool, writer, locks, refusesOtherAccounts },
      publicUrl: "http://localhost:8080",
      allowedReturnOrigins: ["https://app.example"],
      userInfo: new UserInfoClient({ ...shared, outbound }),
      trial: { try: (profile, fields) => this.onTrial(profile, fields) },
      grants: {
        exchangeCode: (request) => grants.exchangeCode(request),
        openResponse: ({ query }) => Promise.resolve(query),
        ...{ pushAuthorization: notHere, signAuthorization: notHere },
        pollDevice: grants.pollDevice?.bind(grants) ?? notHere,
        authorizeDevice: grants.authorizeDevice?.bind(grants) ?? notHere,
      },
    });
    this.requests = this.consents.requests;
    this.completer = this.consents.consent;
    this.poller = this.consents.poller;
    this.confirmer = this.consents.confirmer;
    this.opened = openProvisioning({
      ...{ ...shared, writer, limits: defaultLimits, trial: { check: notHere } },
      endpoint: { servers, sources, grants: { refresh: (request) => grants.refresh(request) } },
      // A provider that is not asked here keeps nobody waiting.
      refresh: { ...refresh, revoker: { attempted: () => Promise.resolve() } },
    });
    this.connections = this.opened.connections;
    this.importer = this.opened.importer;
    this.recovery = this.opened.recovery;
    this.unattended = this.opened.unattended;
    const mcpNames = new McpServerNames({ store });
    const access = openAccess({
      ...shared,
      mcpNames,
      approver: () => this.approver,
      memory: () => this.memory,
      uses: () => this.uses,
    });
    this.access = access.control;
    this.keys = access.keys;
    this.rules = access.rules;
    this.names = access.names;
    this.reading = openReading({
      ...{ ...shared, reader: this.reader, access, engine: this.engine },
      endpoint: { servers, sources, grants: { mint } },
      refresher: options.led?.(this.engine.refresher) ?? this.engine.refresher,
      consents: this.consents,
      connections: this.opened,
      mcp: noMcpLookup,
      trial: new CredentialTrial({ outbound }),
      // The audit of reads is no part of what most of these domains are tested for.
      readAudit: options.isAudited ? undefined : new Unrecorded(shared),
      downscoping: extensions.find((extension) => extension.downscoping)?.downscoping,
      tracing: options.tracing ?? noTracing,
      maxRejectionsPerHour: options.maxRejectionsPerHour ?? 12,
      member: options.member,
      forwardedWrites: undefined,
    });
    this.subscribers = this.reading.subscribers;
    this.tokens = this.reading.tokens;
    this.acquirer = this.reading.acquirer;
    this.rejected = this.reading.rejected;
    this.downscoped = this.reading.downscoped;
    this.apiNonces = this.reading.injected.apiNonces;
  }

  /** A consent of one person, from the request to the callback; the code is the id of the connection. Answers that id. */
  async consentOf(
    providerName: string,
    connectionId: string | undefined,
    outcome: "given" | "denied" | "abandoned" = "given",
    onRequested: (connectionId: string) => void = () => undefined,
  ): Promise<string> {
    const provider = { name: providerName };
    const request = { userId: "ada", provider, scopes: [], returnUrl: undefined, connectionId };
    const { state, connectionId: id } = await this.requests.request(request, owner);
    onRequested(id);
    if (outcome === "abandoned") return id;
    const started = await this.completer.start(state);
    if (started.kind !== "redirect") return id;
    const { name, value } = started.binding;
    const answer: Record<string, string> = outcome === "denied" ? { error: "access_denied" } : { code: id };
    const query = new URLSearchParams({ state, ...answer });
    const path = new URL(new URL(started.location).searchParams.get("redirect_uri") ?? "").pathname;
    await this.completer.finish(query, (cookie) => (cookie === name ? value : undefined), undefined, path);
    return id;
  }
}

/** The same key in every life of a store. */
export function testVault(store: Store): CredentialVault {
  return new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: store.databaseId });
}

/** A profile with endpoints set by hand. */
export function manualSettings(name: string, origin: string): ProviderSettings {
  return { ...plainSettings, name, authUrl: `${origin}/auth`, tokenUrl: `${origin}/token`, scopes: ["read"] };
}
