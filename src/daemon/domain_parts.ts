import type { Config } from "../config/config.js";
import { readVersion } from "../config/version.js";
import { AccessControl } from "../domain/access/access_control.js";
import { AccessExplainer } from "../domain/access/access_explainer.js";
import { ApiKeys } from "../domain/access/api_keys.js";
import { DeniedAccessAudit } from "../domain/access/denied_access_audit.js";
import { RequestGate } from "../domain/access/request_gate.js";
import { VisibleConnections } from "../domain/access/visible_connections.js";
import { ConnectionImporter } from "../domain/connections/connection_importer.js";
import { Connections } from "../domain/connections/connections.js";
import { credentialCheck } from "../domain/connections/credential_check.js";
import { ImportRecovery } from "../domain/connections/import_recovery.js";
import { CredentialCapture } from "../domain/consent/capture.js";
import { CaptureFormFlow } from "../domain/consent/capture_form.js";
import { ConsentConfirmation } from "../domain/consent/confirmation.js";
import { ConnectionCompleter } from "../domain/consent/consent_flow.js";
import { ConsentHolder } from "../domain/consent/consent_holder.js";
import { UnknownStateAudit } from "../domain/consent/unknown_state_audit.js";
import { type ConnectionView, CredentialReader } from "../domain/credentials/credential_reader.js";
import { CredentialVault } from "../domain/credentials/credential_vault.js";
import { CredentialWriter } from "../domain/credentials/credential_writer.js";
import { TokenCache } from "../domain/credentials/token_cache.js";
import { IssuerMetadata } from "../domain/grants/issuer_metadata.js";
import { RevocationQueue } from "../domain/grants/revocation_queue.js";
import { Revoker } from "../domain/grants/revoker.js";
import { TokenEndpointClient } from "../domain/grants/token_endpoint_client.js";
import { TokenSpool } from "../domain/grants/token_spool.js";
import { AuditReader } from "../domain/operations/audit_reader.js";
import { BackupMaker } from "../domain/operations/backup_maker.js";
import { KeyRotation } from "../domain/operations/key_rotation.js";
import { KeyringManager } from "../domain/operations/keyring_manager.js";
import { StatusReader } from "../domain/operations/status_reader.js";
import { ProviderRegistry } from "../domain/providers/provider_registry.js";
import { ProxyAuthorizer } from "../domain/proxy/proxy_authorizer.js";
import { SecretSource } from "../domain/proxy/secret_source.js";
import { SecretStreams } from "../domain/proxy/secret_stream.js";
import { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import { CredentialTrial } from "../domain/static_credentials/credential_probe.js";
import { ReadAudit } from "../domain/tokens/read_audit.js";
import { TokenWatch } from "../domain/tokens/token_watch.js";
import { Tokens } from "../domain/tokens/tokens.js";
import { WatchHub } from "../domain/tokens/watch_hub.js";
import { noTracing, type Tracing } from "../model/tracing.js";
import { fetchDiscoveryDocument } from "../oauth/discovery.js";
import { createOutboundFetch } from "../outbound/outbound.js";
import { tracedOutbound } from "../outbound/traced_outbound.js";
import { Changes } from "../runtime/changes.js";
import type { Clock } from "../runtime/clock.js";
import { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { Log } from "../runtime/log.js";
import type { SpoolFile } from "../store/files/spool_file.js";
import type { Store } from "../store/store.js";
import { applyStrategy } from "../strategies/apply_strategy.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { KeyRingSource } from "../vault/key_source.js";
import type { Vault } from "../vault/vault.js";

export interface DomainOptions {
  readonly config: Config;
  readonly store: Store;
  readonly spoolFile: SpoolFile | undefined;
  readonly sealer: Vault;
  readonly keySource: KeyRingSource;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

export type DomainParts = ReturnType<typeof wireDomain>;

/** Every part of the domain, wired; nothing runs yet. */
export function wireDomain(options: DomainOptions) {
  const { config, store, spoolFile, sealer, metrics, tracing, clock, random, log } = options;
  const networks = config.providerNetworks;
  const plainOutbound = createOutboundFetch({ networks });
  const outbound = tracing === noTracing ? plainOutbound : tracedOutbound(plainOutbound, tracing);
  const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
  const servers = new IssuerMetadata({
    store,
    clock,
    log,
    fetchDocument: (issuer) => fetchDiscoveryDocument(issuer, outbound),
    networks,
  });
  const grants = new TokenEndpointClient({ vault, clock, outbound });
  const writer = new CredentialWriter({ vault, clock, random });
  const changes = new Changes();
  store.onCommitted((changed) => changes.emit("connections", changed));
  const cache = new TokenCache<ConnectionView>(changes);
  const reader = new CredentialReader({ store, vault, clock, cache });
  const locks = new KeyedMutex<string>();
  const revocations = new RevocationQueue({ vault, clock });
  const onSpooled: Metrics["spooled"] = (outcome) => metrics.spooled(outcome);
  const spool = new TokenSpool({ file: spoolFile, store, vault, revocations, clock, log, onSpooled });
  const base = { store, vault, servers, grants, changes, clock, log };

  const engine = new RefreshEngine({ ...base, writer, revocations, spool, locks, random, metrics, tracing });
  const hub = new WatchHub({ changes });
  const readAudit = new ReadAudit({ store, clock, log });
  const unknownStateAudit = new UnknownStateAudit({ store, clock, log });
  const revoker = new Revoker({ ...base, random });
  const keys = new ApiKeys({ store, changes, clock, log });
  const access = new AccessControl({ keys, store, changes, clock });
  const deniedAccess = new DeniedAccessAudit({ store, clock, log });
  const guard = { access, gate: new RequestGate({ access, store }), deniedAccess };

  const trial = new CredentialTrial({ apply: applyStrategy, outbound });
  const holder = new ConsentHolder({ vault, clock });
  const capture = new CredentialCapture({ store, writer, holder, trial, locks, clock, log });
  const importer = new ConnectionImporter({
    ...base,
    writer,
    checkFields: credentialCheck(trial),
    limits: config.limits,
  });
  const onChanged = (providerId: string): void => void changes.emit("provider", providerId);
  const onAccepted = (providerId: string): void => void changes.emit("clientAccepted", providerId);
  const sealing = { store, ring: sealer, vault, clock, log };
  const tokens = new Tokens({ reader, refresher: engine.refresher, readAudit, clock });
  return {
    engine,
    spool,
    hub,
    readAudit,
    unknownStateAudit,
    revoker,
    recovery: new ImportRecovery({ store, importer, clock, random, log }),
    registry: new ProviderRegistry({ store, vault, clock, networks, onChanged }),
    connections: new Connections({
      revocationAttempted: (connectionId) => revoker.attempted(connectionId),
      ...config,
      ...config.consent,
      store,
      vault,
      servers,
      revocations,
      clock,
    }),
    confirmer: new ConsentConfirmation({ ...base, writer, revocations, locks }),
    importer,
    capture,
    captureForm: new CaptureFormFlow({ capture, vault, log }),
    consent: new ConnectionCompleter({
      ...base,
      writer,
      revocations,
      spool,
      onAccepted,
      unknownStateAudit,
      locks,
    }),
    tokens,
    authorizer: new ProxyAuthorizer({ tokens, clock }),
    watch: new TokenWatch({ store, reader, hub, readAudit, clock, random }),
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
      source: new SecretSource({ store, reader, readAudit, log, prefix: config.proxy.secretPrefix }),
      hub,
      clock,
      log,
    }),
    seen: new VisibleConnections({ store }),
    keys,
    deniedAccess,
    guard,
    explainer: new AccessExplainer({ access, store }),
  };
}
