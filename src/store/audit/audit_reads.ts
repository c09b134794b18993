import { agentOf } from "../../model/access/api_key.js";
import { daemon } from "../../model/access/principal.js";
import { type Databases, decodeCount, encodeCount } from "../lmdb/databases.js";
import { decodeAuditEvent, type StoredAuditEvent } from "../records/audit_codec.js";

/** Which events are wanted, the newest first. */
export interface AuditPage {
  /** Only events before this sequence. */
  readonly beforeSequence?: bigint | undefined;
  readonly connectionId?: string | undefined;
  readonly type?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly principal?: string | undefined;
  readonly providerId?: string | undefined;
  /** Only events behind this sequence. */
  readonly afterSequence?: bigint | undefined;
  /** Only events before this time. */
  readonly untilMs?: number | undefined;
  /** As `agentOf` names it: only what it caused, and what was decided about its requests. */
  readonly agent?: string | undefined;
  /** Without what the daemon does by itself. */
  readonly withoutDaemon?: boolean;
  /** At least 1. */
  readonly limit: number;
}

export interface AuditPageResult {
  readonly events: StoredAuditEvent[];
  /** Go on before this sequence; undefined when nothing older can follow. */
  readonly nextBefore: bigint | undefined;
}

/** Events that are looked at for one page beyond its size: what bounds a filter that few of them pass. */
const maxLooked = 5_000;

/**
 * One page. Times are compared one by one, because the clock of a machine can be set back. If no index helps, the number of events that are
 * looked at is bounded.
 */
export function listAuditEvents(databases: Databases, page: AuditPage): AuditPageResult {
  const { audit } = databases;
  const events: StoredAuditEvent[] = [];
  let looked = 0;
  for (const sequence of sequences(databases, page)) {
    if (page.afterSequence !== undefined && sequence <= page.afterSequence) break;
    const value = audit.getBinary(encodeCount(sequence));
    const found = value && decodeAuditEvent(sequence, value);
    if (found && passes(found, page)) events.push(found);
    looked++;
    if (events.length === page.limit || looked === page.limit + maxLooked)
      return { events, nextBefore: sequence };
  }
  return { events, nextBefore: undefined };
}

function passes({ event }: StoredAuditEvent, page: AuditPage): boolean {
  const { connectionId, type, sinceMs, untilMs, principal, providerId, agent } = page;
  if (connectionId !== undefined && event.connectionId !== connectionId) return false;
  if (type !== undefined && event.type !== type) return false;
  if (principal !== undefined && event.principal !== principal) return false;
  if (providerId !== undefined && event.providerId !== providerId) return false;
  if (untilMs !== undefined && event.timeMs >= untilMs) return false;
  if (agent !== undefined && ![event.principal, event.agent].some((name) => name && agentOf(name) === agent))
    return false;
  if (page.withoutDaemon && event.principal === daemon.name && event.agent === undefined) return false;
  return sinceMs === undefined || event.timeMs >= sinceMs;
}

function* sequences(databases: Databases, page: AuditPage): Generator<bigint> {
  const { beforeSequence, connectionId } = page;
  if (connectionId === undefined) {
    const position =
      beforeSequence === undefined ? {} : { start: encodeCount(beforeSequence), exclusiveStart: true };
    for (const key of databases.audit.getKeys({ ...position, reverse: true })) yield decodeCount(key);
    return;
  }
  const newest = beforeSequence === undefined ? Number.MAX_SAFE_INTEGER : Number(beforeSequence) - 1;
  const start: [string, number] = [connectionId, newest];
  for (const [id, sequence] of databases.auditByConnection.getKeys({ start, reverse: true })) {
    if (id !== connectionId) return;
    yield BigInt(sequence);
  }
}
