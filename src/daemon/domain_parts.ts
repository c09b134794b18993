import { readVersion } from "../cli/version.js";
import type { Config } from "../config/config.js";
import { AccessControl } from "../domain/access_control.js";
import { AccessExplainer } from "../domain/access_explainer.js";
import { ApiKeys } from "../domain/api_keys.js";
import { AuditReader } from "../domain/audit_reader.js";
import { AuditedTokens } from "../domain/audited_tokens.js";
import { AuthorizationServers } from "../domain/authorization_servers.js";
import { BackupMaker } from "../domain/backup_maker.js";
import { CaptureFormFlow } from "../domain/capture_form_flow.js";
import { ConnectionCompleter } from "../domain/connection_completer.js";
import { ConnectionFactsCache } from "../domain/connection_facts.js";
import { ConnectionImporter } from "../domain/connection_importer.js";
import { ConnectionManager } from "../domain/connection_manager.js";
import { ConsentConfirmer } from "../domain/consent_confirmer.js";
import { ConsentHolder } from "../domain/consent_holder.js";
import { CredentialCapture } from "../domain/credential_capture.js";
import { credentialCheck } from "../domain/credential_check.js";
import { type ConnectionView, CredentialReader } from "../domain/credential_reader.js";
import { CredentialTrial } from "../domain/credential_trial.js";
import { CredentialVault } from "../domain/credential_vault.js";
import { CredentialWriter } from "../domain/credential_writer.js";
import { DenialLedger } from "../domain/denial_ledger.js";
import { Grants } from "../domain/grants.js";
import { ImportRecovery } from "../domain/import_recovery.js";
import { KeyRotation } from "../domain/key_rotation.js";
import { KeyringManager } from "../domain/keyring_manager.js";
import { KnownViews } from "../domain/known_views.js";
import { ProviderRegistry } from "../domain/provider_registry.js";
import { ProxyAuthorizer } from "../domain/proxy_authorizer.js";
import { ReadLedger } from "../domain/read_ledger.js";
import { RefreshEngine } from "../domain/refresh_engine.js";
import { RequestGate } from "../domain/request_gate.js";
import { RevocationQueue } from "../domain/revocation_queue.js";
import { Revoker } from "../domain/revoker.js";
import { SecretSource } from "../domain/secret_source.js";
import { SecretStreams } from "../domain/secret_stream.js";
import { SeenConnections } from "../domain/seen_connections.js";
import { StatusReader } from "../domain/status_reader.js";
import { TokenManager } from "../domain/token_manager.js";
import { TokenRescue } from "../domain/token_rescue.js";
import { TokenWatch } from "../domain/token_watch.js";
import { UnknownStates } from "../domain/unknown_states.js";
import { WatchHub } from "../domain/watch_hub.js";
import { noTracing, type Tracing } from "../model/tracing.js";
import { fetchDiscoveryDocument } from "../oauth/discovery.js";
import { createOutboundFetch } from "../oauth/outbound.js";
import { tracedOutbound } from "../oauth/traced_outbound.js";
import type { Clock } from "../runtime/clock.js";
import { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { RescueFile } from "../store/rescue_file.js";
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
