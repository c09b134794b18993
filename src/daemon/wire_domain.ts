import { readVersion } from "../config/version.js";
import { AccessControl } from "../domain/access/access_control.js";
import { AccessExplainer } from "../domain/access/access_explainer.js";
import { ApiKeys } from "../domain/access/api_keys.js";
import { ConnectionNames } from "../domain/access/connection_names.js";
import { DeniedAccessAudit } from "../domain/access/denied_access_audit.js";
import { RequestGate } from "../domain/access/request_gate.js";
import { SeenIds } from "../domain/access/seen_ids.js";
import { StreamRegistry } from "../domain/access/stream_registry.js";
import { VisibleConnections } from "../domain/access/visible_connections.js";
import { ConnectionImporter } from "../domain/connections/connection_importer.js";
import { Connections } from "../domain/connections/connections.js";
import { credentialCheck } from "../domain/connections/credential_check.js";
import { ImportRecovery } from "../domain/connections/import_recovery.js";
import { UnattendedConnector } from "../domain/connections/unattended_connector.js";
import { ConnectionCompleter } from "../domain/consent/callback.js";
import { ConsentConfirmation } from "../domain/consent/confirmation.js";
import { DevicePoller } from "../domain/consent/device_poller.js";
import { DeviceRequests } from "../domain/consent/device_request.js";
import { CredentialCapture } from "../domain/consent/form/capture.js";
import { CaptureFormFlow } from "../domain/consent/form/capture_form.js";
import { ConsentHolder } from "../domain/consent/pending_consents.js";
import { UnknownStateAudit } from "../domain/consent/unknown_state_audit.js";
import { AuditReader } from "../domain/operations/audit_reader.js";
import { BackupMaker } from "../domain/operations/backup_maker.js";
import { ExpiryCounter } from "../domain/operations/expiry_counter.js";
import { KeyRotation } from "../domain/operations/key_rotation.js";
import { KeyringManager } from "../domain/operations/keyring_manager.js";
import { RefreshHistory } from "../domain/operations/refresh_history.js";
import { StatusReader } from "../domain/operations/status_reader.js";
import { DiscoveryTrial } from "../domain/providers/discovery_trial.js";
import { McpClients } from "../domain/providers/mcp/mcp_clients.js";
import { McpDiscovery } from "../domain/providers/mcp/mcp_discovery.js";
import { McpServers } from "../domain/providers/mcp/mcp_servers.js";
import { ProviderRegistry } from "../domain/providers/provider_registry.js";
import { CredentialTrial } from "../domain/providers/static/credential_probe.js";
import { TokenSpool } from "../domain/refresh/journal/token_spool.js";
import { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import { Revoker } from "../domain/revocation/revoker.js";
import { UserInfoClient } from "../domain/token_endpoint/user_info_client.js";
import { TokenAcquirer } from "../domain/tokens/acquire/token_acquirer.js";
import { lazyDownscoping, type OpenDownscoping } from "../domain/tokens/downscoping.js";
import { RefreshLimit } from "../domain/tokens/refresh_limit.js";
import { RejectedTokens } from "../domain/tokens/report/rejected_tokens.js";
import { StepUps } from "../domain/tokens/report/step_ups.js";
import { TokenProofs } from "../domain/tokens/token_proofs.js";
import { Tokens } from "../domain/tokens/tokens.js";
import { ConnectionWatch } from "../domain/tokens/watch/connection_watch.js";
import { TokenWatch } from "../domain/tokens/watch/token_watch.js";
import { WatchedReads } from "../domain/tokens/watch/watch_fanout.js";
import { DpopNonces } from "../oauth/dpop/dpop_nonces.js";
import { KeyedMutex } from "../runtime/keyed_mutex.js";
import { applyStrategy } from "../strategies/apply_strategy.js";
import { linksElsewhere, reportsElsewhere, unboundTokens } from "./hub/elsewhere.js";
import type { Resources } from "./resources.js";
import { type DomainOptions, type DomainResources, type Shared, sharedParts } from "./shared_parts.js";

export type Domain = ReturnType<typeof wireDomain>;

/** Every part of the domain, wired; nothing runs yet. */
export function wireDomain(options: DomainOptions, resources: DomainResources) {
  const shared = sharedParts(options, resources);
  const access = accessParts(shared);
  const refresh = refreshParts(shared, resources);
  const mcp = mcpParts(shared);
  const tokens = tokenParts(shared, refresh, options.downscoping);
  resources.store.observe(new WatchedReads(shared));
  const connections = connectionParts(shared, refresh, mcp);
  const acquiring = {
    ...{ ...shared, ...access, ...access.guard, ...tokens, ...connections },
    ...(shared.fleet?.isSpoke && linksElsewhere),
    making: new KeyedMutex<string>(),
  };
  return {
    ...access,
    ...mcp,
    ...refresh,
    ...tokens,
    ...connections,
    acquirer: new TokenAcquirer(acquiring),
    ...rejectionParts(shared, tokens, mcp, new StepUps(acquiring)),
    ...operationParts(shared, refresh, resources),
    clientKeys: shared.clientKeys,
    changes: shared.changes,
    outbound: shared.outbound,
  };
}

type McpParts = ReturnType<typeof mcpParts>;
type RefreshParts = ReturnType<typeof refreshParts>;

function accessParts(shared: Shared) {
  const { store, fleet } = shared;
  const keys = new ApiKeys(shared);
  const access = new AccessControl({ ...shared, keys });
  const deniedAccess = new DeniedAccessAudit(shared);
  const names = new ConnectionNames({ access, store });
  const { mcpNames } = shared;
  return {
    keys,
    access,
    deniedAccess,
    names,
    mcpNames,
    guard: { access, gate: new RequestGate({ access, names, store, mcpNames }), deniedAccess, fleet },
    explainer: new AccessExplainer({ access, store }),
    seen: new VisibleConnections({ store }),
    streams: new StreamRegistry(shared),
  };
}

/** What calls providers by itself. */
function refreshParts(shared: Shared, { spoolFile, metrics }: DomainResources) {
  const onSpooled: Resources["metrics"]["spooled"] = (outcome) => metrics.spooled(outcome);
  const spool = new TokenSpool({ ...shared, ...shared.config.consent, file: spoolFile, onSpooled });
  const history = new RefreshHistory(shared);
  const onEnded: RefreshHistory["record"] = (outcome) => history.record(outcome);
  return {
    spool,
    history,
    engine: new RefreshEngine({ ...shared, spool, metrics, onEnded }),
    revoker: new Revoker(shared),
  };
}

/** What acts on refused tokens, and what puts tokens into the requests of others. */
function rejectionParts(
  shared: Shared,
  { tokens, refresher, limit }: ReturnType<typeof tokenParts>,
  { mcp }: McpParts,
  stepUps: StepUps,
) {
  const { fleet } = shared;
  const apiNonces = new DpopNonces();
  const rejected = new RejectedTokens({ ...shared, refresher, limit, apiNonces, mcp, stepUps });
  const injecting = {
    apiNonces,
    tokens: fleet?.isSpoke ? unboundTokens(tokens) : tokens,
    rejected: fleet?.isSpoke ? reportsElsewhere : rejected,
  };
  return { rejected, injecting };
}

/** What gives tokens to agents. */
function tokenParts(shared: Shared, { engine }: RefreshParts, downscoping: OpenDownscoping | undefined) {
  const { config, hub, readAudit, downscopedAudit, fleet, clock } = shared;
  const refresher = fleet?.refresher(engine.refresher) ?? engine.refresher;
  const limit = new RefreshLimit({ ...shared, ...config.limits });
  const tokens = new Tokens({ ...shared, refresher, limit });
  return {
    hub,
    reader: shared.reader,
    readAudit,
    downscopedAudit,
    tokens,
    downscoped: lazyDownscoping(downscoping, { ...shared, tokens, engine }),
    refresher,
    limit,
    proofs: new TokenProofs({ tokens, clock }),
    watch: new TokenWatch({ ...shared, seen: new SeenIds(shared) }),
    connectionWatch: new ConnectionWatch(shared),
  };
}

/** Profiles, and how those of MCP servers are made. */
function mcpParts(shared: Shared) {
  const { config, changes, mcpNames } = shared;
  const onChanged = (providerId: string): void => void changes.emit("provider", providerId);
  const registry = new ProviderRegistry({ ...config.consent, ...shared, onChanged });
  changes.on("followed", ({ providerIds }) => registry.followed(providerIds));
  const discovery = new McpDiscovery(shared);
  const clients = new McpClients({ ...shared, publicUrl: config.publicUrl });
  return { registry, mcp: new McpServers({ ...shared, registry, discovery, clients, names: mcpNames }) };
}

/** What makes connections, and ends them. */
function connectionParts(shared: Shared, { spool, revoker, engine }: RefreshParts, { mcp }: McpParts) {
  const { config, store, changes, vault, clock, log, outbound } = shared;
  const unknownStateAudit = new UnknownStateAudit({ store, clock, log });
  const trial = new CredentialTrial({ apply: applyStrategy, outbound });
  const holder = new ConsentHolder({ vault, clock });
  const capture = new CredentialCapture({ ...shared, holder, trial });
  const importer = new ConnectionImporter({
    ...shared,
    spool,
    checkFields: credentialCheck(trial),
    limits: config.limits,
  });
  const onAccepted = (providerId: string): void => void changes.emit("clientAccepted", providerId);
  const userInfo = new UserInfoClient({ ...shared, apply: applyStrategy });
  const consents = { ...shared, ...config.consent, spool, userInfo, onAccepted, mcp };
  const poller = new DevicePoller(consents);
  const devices = new DeviceRequests({ ...shared, poller });
  const revocationAttempted = (connectionId: string): Promise<void> => revoker.attempted(connectionId);
  return {
    discoveryTrial: new DiscoveryTrial(shared),
    connections: new Connections({
      ...{ ...config, ...config.consent, ...shared },
      ...{ mcp, devices, revocationAttempted },
    }),
    unattended: new UnattendedConnector({ ...shared, refresher: engine.refresher, limits: config.limits }),
    importer,
    recovery: new ImportRecovery({ ...shared, importer }),
    capture,
    captureForm: new CaptureFormFlow({ capture, vault, clock, log }),
    confirmer: new ConsentConfirmation(shared),
    consent: new ConnectionCompleter({ ...consents, unknownStateAudit }),
    unknownStateAudit,
    poller,
  };
}

/** What the operator asks of the daemon itself. */
function operationParts(shared: Shared, { engine }: RefreshParts, { opened }: DomainResources) {
  const { config, store } = shared;
  const sealing = { ...shared, ring: opened.vault };
  return {
    audit: new AuditReader({ store }),
    expiries: new ExpiryCounter(shared),
    status: new StatusReader({ ...shared, engine, version: readVersion() }),
    keyring: new KeyringManager({ ...sealing, source: opened.source, rotation: new KeyRotation(sealing) }),
    backups: new BackupMaker({ ...sealing, folder: config.dataDir }),
  };
}
