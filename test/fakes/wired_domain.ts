import { AccessControl } from "../../src/domain/access/access_control.js";
import { ConnectionNames } from "../../src/domain/access/connection_names.js";
import { RequestGate } from "../../src/domain/access/request_gate.js";
import { type AskApprovers, RequestRules } from "../../src/domain/access/request_rules.js";
import { ConnectionImporter } from "../../src/domain/connections/connection_importer.js";
import { Connections } from "../../src/domain/connections/connections.js";
import { ImportRecovery } from "../../src/domain/connections/import_recovery.js";
import { UnattendedConnector } from "../../src/domain/connections/unattended_connector.js";
import type { CodeConsent } from "../../src/domain/consent/code.js";
import {
  type ConnectionRequests,
  type ConsentConfirmation,
  type Consents,
  openConsents,
} from "../../src/domain/consent/consent.js";
import type { DevicePoller } from "../../src/domain/consent/device.js";
import { PendingConsents } from "../../src/domain/consent/pending_consents.js";
import { CredentialReader, TokenCache } from "../../src/domain/credentials/credential_reader.js";
import { CredentialVault } from "../../src/domain/credentials/credential_vault.js";
import { CredentialWriter } from "../../src/domain/credentials/credential_writer.js";
import { McpServerNames } from "../../src/domain/providers/mcp_server_names.js";
import { ProviderRegistry } from "../../src/domain/providers/provider_registry.js";
import type { CredentialTrial } from "../../src/domain/providers/static/credential_probe.js";
import { TokenSpool } from "../../src/domain/refresh/journal/token_spool.js";
import { RefreshEngine } from "../../src/domain/refresh/refresh_engine.js";
import type { Refresher, RefreshMetrics } from "../../src/domain/refresh/refresher.js";
import { RevocationQueue } from "../../src/domain/revocation/revocation_queue.js";
import { GrantTypes, TokenSources } from "../../src/domain/token_endpoint/grant_types.js";
import { IssuerMetadata } from "../../src/domain/token_endpoint/issuer_metadata.js";
import { TokenEndpointClient } from "../../src/domain/token_endpoint/token_endpoint_client.js";
import { UserInfoClient } from "../../src/domain/token_endpoint/user_info_client.js";
import { TokenAcquirer } from "../../src/domain/tokens/acquire/token_acquirer.js";
import { type Downscoping, lazyDownscoping } from "../../src/domain/tokens/downscoping.js";
import { ReadAudit } from "../../src/domain/tokens/read_audit.js";
import { RefreshLimit } from "../../src/domain/tokens/refresh_limit.js";
import { RejectedTokens } from "../../src/domain/tokens/report/rejected_tokens.js";
import { StepUps } from "../../src/domain/tokens/report/step_ups.js";
import { Tokens } from "../../src/domain/tokens/tokens.js";
import { Subscribers } from "../../src/domain/tokens/watch/subscribers.js";
import { extensions } from "../../src/ext/extensions.js";
import { owner } from "../../src/model/access/principal.js";
import type { RefreshOutcome } from "../../src/model/connections/refresh_outcome.js";
import { defaultLimits } from "../../src/model/limits.js";
import type { ProviderSettings } from "../../src/model/providers/provider_profile.js";
import { noTracing, type Tracing } from "../../src/model/tracing.js";
import { DpopNonces } from "../../src/oauth/dpop/dpop_nonces.js";
import type { OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { Changes } from "../../src/runtime/changes.js";
import type { Clock } from "../../src/runtime/clock.js";
import { KeyedMutex } from "../../src/runtime/keyed_mutex.js";
import type { SpoolFile } from "../../src/store/files/spool_file.js";
import type { Store } from "../../src/store/store.js";
import { Vault } from "../../src/vault/vault.js";
import { plainSettings } from "../samples.js";
import { silentLog } from "../silent_log.js";
import { loopbackNetworks } from "./loopback_networks.js";

/** What a test plays of the requests at a token endpoint. */
type Sends = Pick<TokenEndpointClient, "refresh" | "exchangeCode"> &
  Partial<Pick<TokenEndpointClient, "mint" | "authorizeDevice" | "pollDevice">>;

/** The domain as daemon/daemon.ts wires it, without listeners, over a store and a network that a test may stand in front of. */
export class WiredDomain {
  readonly changes = new Changes();
  readonly vault: CredentialVault;
  readonly reader: CredentialReader;
  readonly writer: CredentialWriter;
  readonly engine: RefreshEngine;
  readonly tokens: Tokens;
  readonly access: AccessControl;
  readonly names: ConnectionNames;
  readonly rules: RequestRules;
  /** Asked about requests that a rule holds. */
  approver: AskApprovers | undefined;
  readonly downscoped: Downscoping;
  readonly rejected: RejectedTokens;
  readonly acquirer: TokenAcquirer;
  readonly apiNonces = new DpopNonces();
  readonly subscribers = new Subscribers({ changes: this.changes });
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
    readonly metrics?: RefreshMetrics;
    readonly onEnded?: (outcome: RefreshOutcome) => void;
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
    const locks = new KeyedMutex<string>();
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
    const metrics = options.metrics ?? { refreshed: () => {}, replaced: () => {} };
    this.vault = vault;
    this.writer = writer;
    const cache = options.isCached ? new TokenCache(this.changes) : undefined;
    this.reader = new CredentialReader({ ...shared, ...(cache && { cache }) });
    const revocations = new RevocationQueue(shared);
    const pending = new PendingConsents({ ...shared, revocations });
    const refusesOtherAccounts = true;
    const spool = new TokenSpool({ ...shared, file: options.spoolFile, revocations, refusesOtherAccounts });
    this.spool = spool;
    this.engine = new RefreshEngine({
      ...shared,
      revocations,
      pending,
      spool,
      writer,
      servers,
      grants,
      locks,
      metrics,
      sources,
      ...(options.onEnded && { onEnded: options.onEnded }),
    });
    const onChanged = (providerId: string): void => void this.changes.emit("provider", providerId);
    this.providers = new ProviderRegistry({
      ...{ ...shared, networks: loopbackNetworks, grantTypes, onChanged },
    });
    this.changes.on("followed", ({ providerIds }) => this.providers.followed(providerIds));
    const notHere = (what: string) => () => Promise.reject(new Error(what));
    this.consents = openConsents({
      ...{ ...shared, servers, revocations, pending, spool, writer, locks, refusesOtherAccounts },
      publicUrl: "http://localhost:8080",
      allowedReturnOrigins: ["https://app.example"],
      userInfo: new UserInfoClient({ ...shared, outbound }),
      trial: { try: (profile, fields) => this.onTrial(profile, fields) },
      grants: {
        exchangeCode: (request) => grants.exchangeCode(request),
        pushAuthorization: notHere("nothing is pushed here"),
        pollDevice: grants.pollDevice?.bind(grants) ?? notHere("no device is authorized here"),
        authorizeDevice: grants.authorizeDevice?.bind(grants) ?? notHere("no device is authorized here"),
      },
    });
    this.requests = this.consents.requests;
    this.completer = this.consents.consent;
    this.poller = this.consents.poller;
    this.confirmer = this.consents.confirmer;
    this.connections = new Connections({ ...shared, pending, revocations });
    const checkFields = () => Promise.reject(new Error("nothing is checked here"));
    const importing = { ...shared, writer, servers, grants, sources, spool, checkFields };
    this.importer = new ConnectionImporter(importing);
    this.recovery = new ImportRecovery({ ...shared, importer: this.importer });
    this.unattended = new UnattendedConnector({ ...shared, refresher: this.engine.refresher });
    // The audit of reads is no part of what most of these domains are tested for.
    const readAudit = options.isAudited
      ? new ReadAudit(shared)
      : { read: () => undefined, refused: () => Promise.resolve() };
    const tracing = options.tracing ?? noTracing;
    const refresher = options.led?.(this.engine.refresher) ?? this.engine.refresher;
    const { maxRejectionsPerHour = 12 } = options;
    const limit = new RefreshLimit({ clock, maxRejectionsPerHour });
    const access = new AccessControl({ ...shared, keys: { find: () => undefined } as never });
    const rules = new RequestRules({ access, clock, approver: () => this.approver });
    this.access = access;
    this.rules = rules;
    this.tokens = new Tokens({
      store,
      reader: this.reader,
      refresher,
      readAudit,
      limit,
      clock,
      rules,
      tracing,
    });
    const names = new ConnectionNames({ store, access, changes: this.changes });
    this.names = names;
    const mcpNames = new McpServerNames({ store });
    const acquiring = {
      ...{
        access,
        names,
        clock,
        subscribers: this.subscribers,
        reader: this.reader,
        store,
        tokens: this.tokens,
      },
      ...{ requests: this.requests, unattended: this.unattended, member: options.member },
      gate: new RequestGate({ access, names, store, mcpNames }),
      sources,
      making: new KeyedMutex<string>(),
    };
    this.acquirer = new TokenAcquirer(acquiring);
    const stepUps = new StepUps(acquiring);
    this.rejected = new RejectedTokens({
      ...{ store, clock, tokens: this.tokens, apiNonces: this.apiNonces, limit, stepUps },
    });
    const downscoping = extensions.find((extension) => extension.downscoping)?.downscoping;
    this.downscoped = lazyDownscoping(downscoping, {
      ...{ ...shared, servers, grants: { mint }, engine: this.engine, tokens: this.tokens },
      downscopedAudit: readAudit,
    });
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
