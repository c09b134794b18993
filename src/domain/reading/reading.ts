import type { Tracing } from "../../model/tracing.js";
import { DpopNonces } from "../../oauth/dpop/dpop_nonces.js";
import type { Changes } from "../../runtime/changes.js";
import { KeyedMutex } from "../../runtime/keyed_mutex.js";
import { type Access, SeenIds } from "../access/access.js";
import type { CredentialReader, VaultParts } from "../connections/connections.js";
import type { Consents } from "../consent/consent.js";
import type { RefreshEngine, Refreshes } from "../grants/grants.js";
import type { CredentialTrial, McpLookup } from "../profiles/profiles.js";
import type { Provisioning } from "../provisioning/provisioning.js";
import type { TokenEndpoint, TokenEndpointClient } from "../token_endpoint/token_endpoint.js";
import { TokenAcquirer, type TokenAcquirerDeps } from "./acquire/token_acquirer.js";
import { type Downscoping, lazyDownscoping, type OpenDownscoping } from "./downscoping.js";
import { ReadAudit } from "./read_audit.js";
import { RefreshLimit } from "./refresh_limit.js";
import { CheckSchedule } from "./report/check_schedule.js";
import { ConnectionCheck } from "./report/connection_check.js";
import { RejectedTokens } from "./report/rejected_tokens.js";
import { StepUps } from "./report/step_ups.js";
import { TokenProofs } from "./token_proofs.js";
import { Tokens } from "./tokens.js";
import { ConnectionWatch } from "./watch/connection_watch.js";
import { Subscribers } from "./watch/subscribers.js";
import { TokenWatch } from "./watch/token_watch.js";
import { WatchedReads } from "./watch/watch_fanout.js";

export type { LinkAnswer } from "./acquire/decision.js";
export { type Acquired, type AcquireRequest, TokenAcquirer } from "./acquire/token_acquirer.js";
export type { Downscoping, DownscopingParts, OpenDownscoping } from "./downscoping.js";
export { ReadAudit } from "./read_audit.js";
export { type CheckOutcome, ConnectionCheck } from "./report/connection_check.js";
export { type RejectedToken, RejectedTokens, type RejectionOutcome } from "./report/rejected_tokens.js";
export { proofOf, TokenProofs } from "./token_proofs.js";
export { isDownscoped, precondition, Tokens, type TokenTarget } from "./tokens.js";
export { ConflatingSubscriber } from "./watch/conflating_subscriber.js";
export { type ConnectionEvent, ConnectionWatch } from "./watch/connection_watch.js";
export { Subscribers } from "./watch/subscribers.js";
export { TokenWatch } from "./watch/token_watch.js";
export type { WatchEvent } from "./watch/watch_event.js";

/** Readers of downscoped tokens remembered: an entry holds what was requested, up to 15 KiB. */
const maxDownscopedReads = 4_096;

/** Tokens for callers. */
export interface Reading {
  readonly reader: CredentialReader;
  readonly readAudit: ReadAudit;
  readonly downscopedAudit: ReadAudit;
  readonly tokens: Tokens;
  readonly downscoped: Downscoping;
  readonly proofs: TokenProofs;
  /** A token, or the link to one. */
  readonly acquirer: TokenAcquirer;
  /** Acts on reports of refused tokens. */
  readonly rejected: RejectedTokens;
  /** Tries at the API what a connection has. */
  readonly check: ConnectionCheck;
  /** Does so by itself, where a profile asks for it. */
  readonly checks: CheckSchedule;
  /** Tokens that go into the requests of others. */
  readonly injected: Injected;
  readonly subscribers: Subscribers;
  readonly watch: TokenWatch;
  readonly connectionWatch: ConnectionWatch;
}

/** What puts tokens into the requests of others, and hears how APIs answer those. */
export interface Injected {
  readonly tokens: Pick<Tokens, "getToken">;
  readonly rejected: Pick<RejectedTokens, "report">;
  /** By connection. */
  readonly apiNonces: DpopNonces;
}

/** The writes that a daemon with copies of connections forwards instead of doing them itself. */
export interface ForwardedWrites {
  /** What makes links and connections. */
  readonly links: Pick<TokenAcquirerDeps, "requests" | "unattended">;
  /** What acts on a report. */
  readonly reports: Pick<RejectedTokens, "report">;
  /** Tokens without a key beside them. */
  unboundTokens(tokens: Tokens): Pick<Tokens, "getToken">;
}

export interface ReadingDeps extends VaultParts {
  readonly reader: CredentialReader;
  readonly endpoint: Pick<TokenEndpoint, "servers" | "sources"> & {
    readonly grants: Pick<TokenEndpointClient, "mint">;
  };
  readonly access: Pick<Access, "control" | "names" | "gate" | "rules">;
  /** Puts reads on record, of downscoped tokens too; it makes its own by default. */
  readonly readAudit?: ReadAudit | undefined;
  readonly engine: RefreshEngine;
  /** Refreshes that callers wait for. */
  readonly refresher: Refreshes;
  readonly consents: Pick<Consents, "requests">;
  readonly connections: Pick<Provisioning, "unattended">;
  readonly mcp: McpLookup;
  readonly trial: Pick<CredentialTrial, "send">;
  readonly downscoping: OpenDownscoping | undefined;
  readonly changes: Changes;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly tracing: Tracing;
  readonly maxRejectionsPerHour: number;
  /** Of a daemon that is one of several: whether it acts itself. */
  readonly member: { readonly leads: boolean } | undefined;
  readonly forwardedWrites: ForwardedWrites | undefined;
}

export function openReading(deps: ReadingDeps): Reading {
  const { store, vault, reader, refresher, engine, changes, clock, log, random, member } = deps;
  const { access, forwardedWrites, mcp } = deps;
  const { readAudit, downscopedAudit } = auditsOf(deps);
  const subscribers = new Subscribers({ changes });
  store.observe(new WatchedReads({ subscribers, readAudit, clock, log }));
  const limit = new RefreshLimit({ clock, maxRejectionsPerHour: deps.maxRejectionsPerHour });
  const tokens = new Tokens({
    store,
    reader,
    readAudit,
    clock,
    refresher,
    limit,
    rules: access.rules,
    tracing: deps.tracing,
  });
  const acquiring = acquiringWith(deps, tokens, subscribers);
  const apiNonces = new DpopNonces();
  const stepUps = new StepUps(acquiring);
  const rejected = new RejectedTokens({ store, clock, tokens, limit, apiNonces, mcp, stepUps });
  return {
    reader,
    readAudit,
    downscopedAudit,
    tokens,
    downscoped: lazyDownscoping(deps.downscoping, {
      store,
      vault,
      servers: deps.endpoint.servers,
      grants: deps.endpoint.grants,
      downscopedAudit,
      changes,
      clock,
      member,
      tokens,
      engine,
    }),
    proofs: new TokenProofs({ tokens, clock }),
    acquirer: new TokenAcquirer(acquiring),
    rejected,
    ...checksOf(deps, tokens, rejected),
    injected: {
      apiNonces,
      tokens: forwardedWrites?.unboundTokens(tokens) ?? tokens,
      rejected: forwardedWrites?.reports ?? rejected,
    },
    subscribers,
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

function checksOf(
  { store, clock, log, reader, engine, trial, changes, random }: ReadingDeps,
  tokens: Tokens,
  rejected: RejectedTokens,
): Pick<Reading, "check" | "checks"> {
  const { refresher } = engine;
  const check = new ConnectionCheck({ store, clock, reader, tokens, rejected, refresher, trial });
  return { check, checks: new CheckSchedule({ store, clock, log, changes, random, check }) };
}

/** Reads of connections' own tokens, and of downscoped ones, which have other readers. */
function auditsOf({ store, clock, log, readAudit }: ReadingDeps) {
  const maxEntries = maxDownscopedReads;
  return {
    readAudit: readAudit ?? new ReadAudit({ store, clock, log }),
    downscopedAudit: readAudit ?? new ReadAudit({ store, clock, log, maxEntries }),
  };
}

/** What a request for a token is decided by, and a step-up after a report. */
function acquiringWith(
  { store, reader, clock, access, endpoint, consents, connections, member, forwardedWrites }: ReadingDeps,
  tokens: Tokens,
  subscribers: Subscribers,
): TokenAcquirerDeps {
  return {
    store,
    reader,
    clock,
    subscribers,
    tokens,
    sources: endpoint.sources,
    access: access.control,
    names: access.names,
    gate: access.gate,
    requests: forwardedWrites?.links.requests ?? consents.requests,
    unattended: forwardedWrites?.links.unattended ?? connections.unattended,
    making: new KeyedMutex<string>(),
    member,
  };
}
