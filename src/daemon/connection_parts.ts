import { ConnectionImporter } from "../domain/connections/connection_importer.js";
import { Connections } from "../domain/connections/connections.js";
import { ImportRecovery } from "../domain/connections/import_recovery.js";
import { UnattendedConnector } from "../domain/connections/unattended_connector.js";
import { ConnectionCompleter } from "../domain/consent/callback.js";
import { ConsentConfirmation } from "../domain/consent/confirmation.js";
import { ConnectionRequests } from "../domain/consent/consent_request.js";
import { DevicePoller } from "../domain/consent/device_poller.js";
import { DeviceRequests } from "../domain/consent/device_request.js";
import { CredentialCapture } from "../domain/consent/form/capture.js";
import { CaptureFormFlow } from "../domain/consent/form/capture_form.js";
import { ConsentHolder, PendingConsents } from "../domain/consent/pending_consents.js";
import { UnknownStateAudit } from "../domain/consent/unknown_state_audit.js";
import { DiscoveryTrial } from "../domain/providers/discovery_trial.js";
import { noMcpLookup, type OpenMcpLookup } from "../domain/providers/mcp_lookup.js";
import { ProviderRegistry } from "../domain/providers/provider_registry.js";
import { CredentialTrial } from "../domain/providers/static/credential_probe.js";
import type { TokenSpool } from "../domain/refresh/journal/token_spool.js";
import type { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import type { Revoker } from "../domain/revocation/revoker.js";
import { UserInfoClient } from "../domain/token_endpoint/user_info_client.js";
import { applyStrategy } from "../strategies/apply_strategy.js";
import type { Shared } from "./shared_parts.js";

export interface RefreshParts {
  readonly spool: TokenSpool;
  readonly engine: RefreshEngine;
  readonly revoker: Revoker;
}

export type ProviderParts = ReturnType<typeof providerParts>;

/** Profiles, and how those of MCP servers are made. */
export function providerParts(shared: Shared, mcpLookup: OpenMcpLookup | undefined) {
  const { config, changes, networks, assertionFiles, keyFiles, store, vault, grantTypes } = shared;
  const { clock, clientKeys, servers, outbound, log } = shared;
  const onChanged = (providerId: string): void => void changes.emit("provider", providerId);
  const registry = new ProviderRegistry({
    networks,
    assertionFiles,
    keyFiles,
    store,
    vault,
    grantTypes,
    clock,
    sharedRedirectUri: config.consent.sharedRedirectUri,
    clientKeys,
    onChanged,
  });
  changes.on("followed", ({ providerIds }) => registry.followed(providerIds));
  const mcp = mcpLookup?.({
    store,
    registry,
    names: shared.mcpNames,
    servers,
    vault,
    outbound,
    networks,
    publicUrl: config.publicUrl,
    clock,
    log,
  });
  return { registry, mcp: mcp ?? noMcpLookup };
}

/** What makes connections, and ends them. */
export function connectionParts(
  shared: Shared,
  { spool, revoker, engine }: RefreshParts,
  { mcp }: ProviderParts,
) {
  const { config, store, changes, vault, clock, log, outbound, writer, locks, servers, grants, revocations } =
    shared;
  const unknownStateAudit = new UnknownStateAudit({ store, clock, log });
  const onAccepted = (providerId: string): void => void changes.emit("clientAccepted", providerId);
  const userInfo = new UserInfoClient({ outbound, clock, log, apply: applyStrategy });
  const consents = { ...shared, ...config.consent, spool, userInfo, onAccepted, mcp };
  const poller = new DevicePoller(consents);
  const devices = new DeviceRequests({ grants, poller });
  const pending = new PendingConsents({ vault, revocations, clock });
  const revocationAttempted = (connectionId: string): Promise<void> => revoker.attempted(connectionId);
  return {
    discoveryTrial: new DiscoveryTrial({ servers, clock }),
    connections: new Connections({ store, pending, revocations, revocationAttempted, clock }),
    requests: new ConnectionRequests({
      store,
      vault,
      servers,
      pending,
      clock,
      publicUrl: config.publicUrl,
      allowedReturnOrigins: config.allowedReturnOrigins,
      requireConfirmation: config.consent.requireConfirmation,
      limits: config.limits,
      mcp,
      devices,
    }),
    unattended: new UnattendedConnector({ store, clock, refresher: engine.refresher, limits: config.limits }),
    ...importParts(shared, spool),
    confirmer: new ConsentConfirmation({ store, vault, writer, revocations, locks, clock, log }),
    consent: new ConnectionCompleter({ ...consents, unknownStateAudit }),
    unknownStateAudit,
    poller,
  };
}

/** What takes credentials that are there already: from a form, or from another program. */
function importParts(shared: Shared, spool: TokenSpool) {
  const { config, store, vault, writer, servers, grants, sources, locks, clock, random, log, outbound } =
    shared;
  const trial = new CredentialTrial({ apply: applyStrategy, outbound });
  const holder = new ConsentHolder({ vault, clock });
  const capture = new CredentialCapture({ store, writer, locks, clock, log, holder, trial });
  const importer = new ConnectionImporter({
    store,
    vault,
    writer,
    servers,
    grants,
    sources,
    clock,
    log,
    spool,
    checkFields: (profile, values) => trial.check(profile, values),
    limits: config.limits,
  });
  return {
    importer,
    recovery: new ImportRecovery({ store, clock, random, log, importer }),
    capture,
    captureForm: new CaptureFormFlow({ capture, vault, clock, log }),
  };
}
