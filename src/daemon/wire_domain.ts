import { readVersion } from "../config/version.js";
import { AccessControl } from "../domain/access/access_control.js";
import { AccessExplainer } from "../domain/access/access_explainer.js";
import { ApiKeys } from "../domain/access/api_keys.js";
import { ConnectionNames } from "../domain/access/connection_names.js";
import { DeniedAccessAudit } from "../domain/access/denied_access_audit.js";
import { RequestGate } from "../domain/access/request_gate.js";
import { type AskApprovers, RequestRules } from "../domain/access/request_rules.js";
import { SeenIds } from "../domain/access/seen_ids.js";
import { StreamRegistry } from "../domain/access/stream_registry.js";
import { VisibleConnections } from "../domain/access/visible_connections.js";
import { AuditReader } from "../domain/operations/audit_reader.js";
import { ExpiryCounter } from "../domain/operations/expiry_counter.js";
import { Keyring } from "../domain/operations/keyring.js";
import { RefreshHistory } from "../domain/operations/refresh_history.js";
import { StatusReader } from "../domain/operations/status_reader.js";
import { TokenSpool } from "../domain/refresh/journal/token_spool.js";
import { RefreshEngine } from "../domain/refresh/refresh_engine.js";
import { Revoker } from "../domain/revocation/revoker.js";
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
import { connectionParts, type ProviderParts, providerParts, type RefreshParts } from "./connection_parts.js";
import type { Resources } from "./resources.js";
import { type DomainOptions, type DomainResources, type Shared, sharedParts } from "./shared_parts.js";

export type Domain = ReturnType<typeof wireDomain>;

/** Every part of the domain, wired; nothing runs yet. */
export function wireDomain(options: DomainOptions, resources: DomainResources) {
  const shared = sharedParts(options, resources);
  const { subscribers, readAudit, clock, log } = shared;
  const access = accessParts(shared, () => {
    const own = options.approver?.();
    return own && (options.hub?.approver?.(own) ?? own);
  });
  const refresh = refreshParts(shared, resources);
  const providers = providerParts(shared, options.mcpLookup);
  const tokens = tokenParts(shared, refresh, access.rules, options.downscoping);
  resources.store.observe(new WatchedReads({ subscribers, readAudit, clock, log }));
  const connections = connectionParts(shared, refresh, providers);
  const acquiring = {
    ...{ ...shared, ...access, ...access.guard, ...tokens, ...connections },
    ...shared.fleet?.hubOnlyParts?.links,
    making: new KeyedMutex<string>(),
  };
  return {
    ...access,
    ...providers,
    ...refresh,
    ...tokens,
    ...connections,
    acquirer: new TokenAcquirer(acquiring),
    ...rejectionParts(shared, tokens, providers, new StepUps(acquiring)),
    ...operationParts(shared, refresh, resources),
    clientKeys: shared.clientKeys,
    changes: shared.changes,
    outbound: shared.outbound,
  };
}

function accessParts(shared: Shared, approver: () => AskApprovers | undefined) {
  const { store, fleet, changes, clock, log } = shared;
  const keys = new ApiKeys({ store, changes, clock, log });
  const access = new AccessControl({ store, changes, clock, keys });
  const deniedAccess = new DeniedAccessAudit({ store, clock, log });
  const names = new ConnectionNames({ access, store, changes });
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
    rules: new RequestRules({ access, clock, approver }),
    streams: new StreamRegistry({ clock }),
  };
}

/** What calls providers by itself. */
function refreshParts(shared: Shared, { spoolFile, metrics }: DomainResources) {
  const {
    vault,
    revocations,
    pending,
    clock,
    store,
    log,
    writer,
    servers,
    grants,
    locks,
    changes,
    random,
    sources,
    tracing,
  } = shared;
  const onSpooled: Resources["metrics"]["spooled"] = (outcome) => metrics.spooled(outcome);
  const spool = new TokenSpool({
    ...{ vault, revocations, clock, store, log, file: spoolFile, onSpooled },
    refusesOtherAccounts: shared.config.consent.refusesOtherAccounts,
  });
  const history = new RefreshHistory({ clock });
  const onEnded: RefreshHistory["record"] = (outcome) => history.record(outcome);
  return {
    spool,
    history,
    engine: new RefreshEngine({
      ...{ store, vault, writer, servers, grants, revocations, locks, changes, clock, random, log, sources },
      ...{ pending, tracing, spool, metrics, onEnded },
    }),
    revoker: new Revoker({ store, vault, servers, grants, revocations, changes, clock, random, log }),
  };
}

/** What acts on refused tokens, and what puts tokens into the requests of others. */
function rejectionParts(
  shared: Shared,
  { tokens, refresher, limit }: ReturnType<typeof tokenParts>,
  { mcp }: ProviderParts,
  stepUps: StepUps,
) {
  const { fleet, store, clock, reader } = shared;
  const apiNonces = new DpopNonces();
  const rejected = new RejectedTokens({ store, clock, reader, refresher, limit, apiNonces, mcp, stepUps });
  const injecting = {
    apiNonces,
    tokens: fleet?.hubOnlyParts?.unboundTokens(tokens) ?? tokens,
    rejected: fleet?.hubOnlyParts?.reports ?? rejected,
  };
  return { rejected, injecting };
}

/** What gives tokens to agents. */
function tokenParts(
  shared: Shared,
  { engine }: RefreshParts,
  rules: RequestRules,
  downscoping: OpenDownscoping | undefined,
) {
  const {
    config,
    subscribers,
    readAudit,
    downscopedAudit,
    fleet,
    clock,
    store,
    reader,
    vault,
    servers,
    grants,
    changes,
    random,
    tracing,
  } = shared;
  const refresher = fleet?.refresher(engine.refresher) ?? engine.refresher;
  const limit = new RefreshLimit({ clock, maxRejectionsPerHour: config.limits.maxRejectionsPerHour });
  const tokens = new Tokens({ store, reader, readAudit, clock, refresher, limit, rules, tracing });
  return {
    subscribers,
    reader: shared.reader,
    readAudit,
    downscopedAudit,
    tokens,
    downscoped: lazyDownscoping(downscoping, {
      store,
      vault,
      servers,
      grants,
      downscopedAudit,
      changes,
      clock,
      fleet,
      tokens,
      engine,
    }),
    refresher,
    limit,
    proofs: new TokenProofs({ tokens, clock }),
    watch: new TokenWatch({
      subscribers,
      random,
      store,
      reader,
      readAudit,
      clock,
      seen: new SeenIds({ store, changes }),
    }),
    connectionWatch: new ConnectionWatch({ store, subscribers }),
  };
}

/** What the operator asks of the daemon itself. */
function operationParts(shared: Shared, { engine }: RefreshParts, { opened }: DomainResources) {
  const { store, clock, subscribers, fleet } = shared;
  return {
    audit: new AuditReader({ store }),
    expiries: new ExpiryCounter({ store, clock }),
    status: new StatusReader({ store, subscribers, clock, fleet, engine, version: readVersion() }),
    keyring: new Keyring({ ...shared, ring: opened.vault, source: opened.source }),
  };
}
