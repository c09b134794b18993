import { ConnectionImporter } from "../domain/connections/connection_importer.js";
import { Connections } from "../domain/connections/connections.js";
import { ImportRecovery } from "../domain/connections/import_recovery.js";
import { UnattendedConnector } from "../domain/connections/unattended_connector.js";
import { openConsents } from "../domain/consent/consent.js";
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
  const { config, store, vault, writer, servers, grants, sources, clock, random, log, outbound } = shared;
  const { pending, revocations } = shared;
  const revocationAttempted = (connectionId: string): Promise<void> => revoker.attempted(connectionId);
  const trial = new CredentialTrial({ apply: applyStrategy, outbound });
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
    discoveryTrial: new DiscoveryTrial({ servers, clock }),
    connections: new Connections({ store, pending, revocations, revocationAttempted, clock }),
    unattended: new UnattendedConnector({ store, clock, refresher: engine.refresher, limits: config.limits }),
    importer,
    recovery: new ImportRecovery({ store, clock, random, log, importer }),
    ...openConsents({
      store,
      vault,
      clock,
      log,
      changes: shared.changes,
      pending,
      writer,
      revocations,
      spool,
      locks: shared.locks,
      servers,
      grants,
      userInfo: new UserInfoClient({ outbound, clock, log, apply: applyStrategy }),
      trial,
      mcp,
      publicUrl: config.publicUrl,
      allowedReturnOrigins: config.allowedReturnOrigins,
      requireConfirmation: config.consent.requireConfirmation,
      refusesOtherAccounts: config.consent.refusesOtherAccounts,
      limits: config.limits,
    }),
  };
}
