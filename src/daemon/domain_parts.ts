import { readVersion } from "../config/version.js";
import type { Config } from "../config/config.js";
import { AccessControl } from "../domain/access/access_control.js";
import { AccessExplainer } from "../domain/access/access_explainer.js";
import { ApiKeys } from "../domain/access/api_keys.js";
import { AuditReader } from "../domain/operations/audit_reader.js";
import { AuditedTokens } from "../domain/tokens/audited_tokens.js";
import { AuthorizationServers } from "../domain/grants/issuer_metadata.js";
import { BackupMaker } from "../domain/operations/backup_maker.js";
import { CaptureFormFlow } from "../domain/consent/capture_form.js";
import { ConnectionCompleter } from "../domain/consent/consent_flow.js";
import { ConnectionFactsCache } from "../domain/access/connection_access_cache.js";
import { ConnectionImporter } from "../domain/connections/connection_importer.js";
import { ConnectionManager } from "../domain/connections/connections.js";
import { ConsentConfirmer } from "../domain/consent/confirmation.js";
import { ConsentHolder } from "../domain/consent/consent_holder.js";
import { CredentialCapture } from "../domain/consent/capture.js";
import { credentialCheck } from "../domain/connections/credential_check.js";
import { type ConnectionView, CredentialReader } from "../domain/credentials/credential_reader.js";
import { CredentialTrial } from "../domain/static_credentials/credential_probe.js";
import { CredentialVault } from "../domain/credentials/credential_vault.js";
import { CredentialWriter } from "../domain/credentials/credential_writer.js";
import { DenialLedger } from "../domain/access/denied_access_audit.js";
import { Grants } from "../domain/grants/token_endpoint_client.js";
import { ImportRecovery } from "../domain/connections/import_recovery.js";
import { KeyRotation } from "../domain/operations/key_rotation.js";
import { KeyringManager } from "../domain/operations/keyring_manager.js";
import { KnownViews } from "../domain/credentials/token_cache.js";
import { ProviderRegistry } from "../domain/providers/provider_registry.js";
import { ProxyAuthorizer } from "../domain/proxy/proxy_authorizer.js";
import { ReadLedger } from "../domain/tokens/read_audit.js";
import { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import { RequestGate } from "../domain/access/request_gate.js";
import { RevocationQueue } from "../domain/grants/revocation_queue.js";
import { Revoker } from "../domain/grants/revoker.js";
import { SecretSource } from "../domain/proxy/secret_source.js";
import { SecretStreams } from "../domain/proxy/secret_stream.js";
import { SeenConnections } from "../domain/access/visible_connections.js";
import { StatusReader } from "../domain/operations/status_reader.js";
import { TokenManager } from "../domain/tokens/token_manager.js";
import { TokenRescue } from "../domain/grants/token_spool.js";
import { TokenWatch } from "../domain/tokens/token_watch.js";
import { UnknownStates } from "../domain/consent/unknown_state_audit.js";
import { WatchHub } from "../domain/tokens/watch_hub.js";
import { noTracing, type Tracing } from "../model/tracing.js";
import { fetchDiscoveryDocument } from "../oauth/discovery.js";
import { createOutboundFetch } from "../outbound/outbound.js";
import { tracedOutbound } from "../outbound/traced_outbound.js";
import type { Clock } from "../runtime/clock.js";
import { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { RescueFile } from "../store/files/spool_file.js";
import type { Store } from "../store/store.js";
import { applyStrategy } from "../strategies/apply_strategy.js";
import type { Logger } from "../telemetry/logger.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { KeyRingSource } from "../vault/key_source.js";
import type { Vault } from "../vault/vault.js";

export interface DomainOptions {
  readonly config: Config;
  readonly store: Store;
  readonly rescueFile: RescueFile | undefined;
  readonly sealer: Vault;
  readonly keySource: KeyRingSource;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
}

export type DomainParts = ReturnType<typeof wireDomain>;

/** Every part of the domain, wired; nothing runs yet. */
export function wireDomain(options: DomainOptions) {
  const { config, store, rescueFile, sealer, metrics, tracing, clock, random, log } = options;
  const networks = config.providerNetworks;
  const plainOutbound = createOutboundFetch({ networks });
  const outbound = tracing === noTracing ? plainOutbound : tracedOutbound(plainOutbound, tracing);
  const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
  const servers = new AuthorizationServers({
    store,
    clock,
    log,
    fetchDocument: (issuer) => fetchDiscoveryDocument(issuer, outbound),
    networks,
  });
  const grants = new Grants({ vault, clock, outbound });
  const writer = new CredentialWriter({ vault, clock, random });
  const known = new KnownViews<ConnectionView>();
  const reader = new CredentialReader({ store, vault, clock, known });
  const locks = new KeyedMutex<string>();
  const revocations = new RevocationQueue({ vault, clock });
  const onRescued: Metrics["rescued"] = (outcome) => metrics.rescued(outcome);
  const rescue = new TokenRescue({ file: rescueFile, store, vault, revocations, clock, log, onRescued });
  const base = { store, vault, servers, grants, clock, log };

  const engine = new RefreshEngine({ ...base, writer, revocations, rescue, locks, random, metrics, tracing });
  const hub = new WatchHub();
  const ledger = new ReadLedger({ store, clock, log });
  const unknownStates = new UnknownStates({ store, clock, log });
  const revoker = new Revoker({ ...base, random });
  const facts = new ConnectionFactsCache({ store });
  const keys = new ApiKeys({ store, clock, log });
  const access = new AccessControl({ keys, facts, clock });
  keys.onRevoked = (name) => access.principalEnded(name);
  const denials = new DenialLedger({ store, clock, log });
  const guard = { access, gate: new RequestGate({ access, store }), denials };
  store.onCommitted((changes) => {
    const ids = changes.map(({ connectionId }) => connectionId);
    facts.connectionsChanged(ids);
    known.connectionsChanged(ids);
    hub.announce(changes);
    engine.wake(changes);
    revoker.wake();
  });

  const trial = new CredentialTrial({ apply: applyStrategy, outbound });
  const holder = new ConsentHolder({ vault, clock });
  const capture = new CredentialCapture({ store, writer, holder, trial, locks, clock, log });
  const importer = new ConnectionImporter({
    ...base,
    writer,
    checkFields: credentialCheck(trial),
    limits: config.limits,
  });
  const onChanged = (providerId: string): void => {
    facts.providerChanged(providerId);
    known.providersChanged();
    engine.profileChanged(providerId);
  };
  const onAccepted = (providerId: string): void => engine.clientAccepted(providerId);
  const sealing = { store, ring: sealer, vault, clock, log };
  const tokens = new AuditedTokens({
    manager: new TokenManager({ reader, refresher: engine.refresher, clock }),
    ledger,
  });
  return {
    engine,
    rescue,
    hub,
    ledger,
    unknownStates,
    revoker,
    recovery: new ImportRecovery({ store, importer, clock, random, log }),
    registry: new ProviderRegistry({ store, vault, clock, networks, onChanged }),
    connections: new ConnectionManager({
      revocationAttempted: (connectionId) => revoker.attempted(connectionId),
      ...config,
      ...config.consent,
      store,
      vault,
      servers,
      revocations,
      clock,
    }),
    confirmer: new ConsentConfirmer({ ...base, writer, revocations, locks }),
    importer,
    capture,
    captureForm: new CaptureFormFlow({ capture, vault, log }),
    consent: new ConnectionCompleter({
      ...base,
      writer,
      revocations,
      rescue,
      onAccepted,
      unknownStates,
      locks,
    }),
    tokens,
    authorizer: new ProxyAuthorizer({ tokens, clock }),
    watch: new TokenWatch({ store, reader, hub, ledger, clock, random }),
    audit: new AuditReader({ store }),
    status: new StatusReader({ store, engine, hub, clock, version: readVersion() }),
    keyring: new KeyringManager({
      ...sealing,
      source: options.keySource,
      rotation: new KeyRotation(sealing),
    }),
    backups: new BackupMaker({ ...sealing, folder: config.dataDir }),
    access,
    secrets: new SecretStreams({
      source: new SecretSource({ store, reader, ledger, log, prefix: config.proxy.secretPrefix }),
      hub,
      clock,
      log,
    }),
    seen: new SeenConnections({ store }),
    keys,
    denials,
    guard,
    explainer: new AccessExplainer({ access, store }),
  };
}
