import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { agentOf } from "../../../model/access/access.js";
import { findEvents } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";

const hourMs = 60 * 60_000;
export const dayMs = 24 * hourMs;
/** Events that a page reads at most: some 100 ms. */
const bounds = { most: 10_000, calls: 12 };
/** Newest refusals that are kept of an agent. */
const maxRefusals = 20;

/** What one agent did. */
export interface AgentUse {
  /** Requests that were sent with a credential and tokens that were handed out, by the hour's start and the provider's id. */
  readonly hours: Map<number, Map<string, number>>;
  requests: number;
  /** What a rule, a restriction, or the policy refused. */
  refused: number;
  /** The newest first. */
  readonly refusals: AuditEvent[];
  lastMs: number;
}

/** What agents did lately, by the name of the agent as `agentOf` has it. */
export interface Usage {
  readonly byAgent: ReadonlyMap<string, AgentUse>;
  readonly sinceMs: number;
  /** Before it, events were not looked at: there are more than a page reads. Undefined if all of them were. */
  readonly readSinceMs: number | undefined;
}

/** Types of events that stand for requests. */
const reads = ["token_retrieved", "token_reads_counted"];
const used = "egress_used";

/** @param agent only this one's */
export async function usageOf(request: PageRequest, agent = ""): Promise<Usage> {
  const sinceMs = Math.floor((request.nowMs - dayMs) / hourMs) * hourMs + hourMs;
  const filter = { since: timestampFromMs(sinceMs), withoutDaemon: true, agent };
  const canRead = request.may("audit.read");
  const { found, next } = canRead ? await findEvents(request, filter, bounds) : { found: [], next: "" };
  const oldest = found.at(-1)?.time;
  const readSinceMs = next === "" || !oldest ? undefined : timestampMs(oldest);
  return { byAgent: countedBy(found), sinceMs, readSinceMs };
}

function countedBy(events: readonly AuditEvent[]): Map<string, AgentUse> {
  // A proxy's requests are counted by themselves, and its reads of tokens are for them.
  const proxied = new Set(events.filter(({ eventType }) => eventType === used).map(({ session }) => session));
  const providers = new Map(
    events.map((each) => [each.connectionId, each.providerId] as const).filter(([, id]) => id),
  );
  const byAgent = new Map<string, AgentUse>();
  for (const event of events) {
    const { principal, eventType, time, session } = event;
    const use = byAgent.get(agentOf(principal)) ?? noUse();
    byAgent.set(agentOf(principal), use);
    const atMs = time ? timestampMs(time) : 0;
    use.lastMs = Math.max(use.lastMs, atMs);
    const times = Math.max(1, Number(event.count));
    if (isRefusal(event)) {
      use.refused += times;
      if (use.refusals.length < maxRefusals) use.refusals.push(event);
    }
    const isRead = reads.includes(eventType) && !(session !== "" && proxied.has(session));
    if (!isRead && eventType !== used) continue;
    use.requests += times;
    const hour = Math.floor(atMs / hourMs) * hourMs;
    const ofHour = use.hours.get(hour) ?? new Map<string, number>();
    use.hours.set(hour, ofHour);
    const provider = event.providerId || providers.get(event.connectionId) || "";
    ofHour.set(provider, (ofHour.get(provider) ?? 0) + times);
  }
  return byAgent;
}

export function noUse(): AgentUse {
  return { hours: new Map(), requests: 0, refused: 0, refusals: [], lastMs: 0 };
}

/** What was refused by the policy or a person; a token that is not there is another matter, and so is a body that a proxy shows next. */
export function isRefusal({ eventType, reason }: AuditEvent): boolean {
  if (eventType === "access.denied") return true;
  return eventType === "token_retrieval_failed" && ["permission_denied", "use_egress"].includes(reason);
}
