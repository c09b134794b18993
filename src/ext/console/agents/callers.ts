import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { AccessService, type ApiKey } from "../../../gen/nexus/v1/access_pb.js";
import { ApprovalService, type StoppedPrincipal } from "../../../gen/nexus/v1/approval_pb.js";
import { EgressService, type EgressSession } from "../../../gen/nexus/v1/egress_pb.js";
import { type OpenStream, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { agentOf, keyPrincipalName } from "../../../model/access/access.js";
import { isOfKeys } from "../kit/agent_names.js";
import type { PageRequest } from "../kit/request.js";
import { type AgentUse, noUse, type Usage } from "./usage.js";

/** What the RPCs list at most. */
const maxEntries = 1_000;
/** Principals that send no requests to APIs by themselves. */
const notAgents: ReadonlySet<string> = new Set(["browser", "daemon"]);

/** A caller: all keys and grants of one name, a JWT, a certificate, another user of the machine, or the owner. */
export interface Agent {
  /** `key:claude`, `jwt:system:serviceaccount:agents:research`, `owner`. */
  readonly name: string;
  /** Live ones first. Empty for who may not see them. */
  readonly keys: readonly ApiKey[];
  readonly sessions: readonly EgressSession[];
  readonly streams: readonly OpenStream[];
  readonly use: AgentUse;
  readonly stop: StoppedPrincipal | undefined;
  /** Of its last request; 0 if none is known. */
  readonly lastMs: number;
}

/** Neither revoked nor expired. */
export function isLiveKey({ revokedAt, leaseEndsAt, expiresAt }: ApiKey, nowMs: number): boolean {
  const end = leaseEndsAt ?? expiresAt;
  return revokedAt === undefined && (end === undefined || timestampMs(end) > nowMs);
}

/** All keys, for who may manage them. */
export async function allKeys({ may, call }: PageRequest, includeRevoked: boolean): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  let pageToken = "";
  do {
    if (!may("key.manage")) break;
    const listRequest = { pageSize: maxEntries, pageToken, includeRevoked };
    const page = await call(AccessService.method.listApiKeys, listRequest);
    keys.push(...page.apiKeys);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return keys;
}

/** Every caller that has a key, did something lately, has something open, or is stopped; those that run and the latest first. */
export async function agentsOf(request: PageRequest, usage: Usage): Promise<Agent[]> {
  const { may, call, serves, nowMs } = request;
  const none = { streams: [], sessions: [], stops: [] };
  const [keys, { streams }, { sessions }, { stops }] = await Promise.all([
    allKeys(request, true),
    may("status.read") ? call(StatusService.method.listOpenStreams, { maxEntries }) : none,
    serves(EgressService) ? call(EgressService.method.listEgressSessions, { maxEntries }) : none,
    may("key.manage") && serves(ApprovalService) ? call(ApprovalService.method.listStops, {}) : none,
  ]);
  const ofKeys = byAgent(keys, ({ name }) => keyPrincipalName(name));
  const ofStreams = byAgent(streams, ({ principal }) => principal);
  const ofSessions = byAgent(sessions, ({ principal }) => principal);
  const ofStops = new Map(stops.map((stop) => [stop.principal, stop]));
  const parts = [ofKeys, ofStreams, ofSessions, ofStops, usage.byAgent];
  const names = new Set(parts.flatMap((part) => [...part.keys()]).filter((name) => !notAgents.has(name)));
  const agents = [...names].map((name): Agent => {
    const own = ofKeys.get(name) ?? [];
    const use = usage.byAgent.get(name) ?? noUse();
    return {
      name,
      keys: own.toSorted((one, other) => Number(isLiveKey(other, nowMs)) - Number(isLiveKey(one, nowMs))),
      sessions: ofSessions.get(name) ?? [],
      streams: ofStreams.get(name) ?? [],
      use,
      stop: ofStops.get(name),
      lastMs: Math.max(use.lastMs, ...own.map(({ lastUsedAt }) => msOf(lastUsedAt))),
    };
  });
  return agents.toSorted(
    (one, other) =>
      isRunning(other) - isRunning(one) || other.lastMs - one.lastMs || (one.name < other.name ? -1 : 1),
  );
}

function byAgent<T>(all: readonly T[], principalOf: (each: T) => string): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const each of all) {
    const agent = agentOf(principalOf(each));
    const own = found.get(agent);
    if (own) own.push(each);
    else found.set(agent, [each]);
  }
  return found;
}

/** 1 if something of it is open. */
export function isRunning({ sessions, streams }: Agent): number {
  return Math.sign(sessions.length + streams.length);
}

/** Whether it could call now. */
export function isEnded({ name, keys, stop }: Agent, nowMs: number): boolean {
  return (
    stop !== undefined || (isOfKeys(name) && keys.length > 0 && !keys.some((key) => isLiveKey(key, nowMs)))
  );
}

function msOf(time: Timestamp | undefined): number {
  return time ? timestampMs(time) : 0;
}
