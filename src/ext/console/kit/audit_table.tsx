import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { counted } from "../../../model/model.js";
import type { View } from "../../../server/pages/kit.js";
import { Moment, pathWith, Table } from "./parts.js";
import { allProviders } from "./queries.js";
import type { PageRequest } from "./request.js";
import { eventText } from "./words.js";

/** Of the cells of an event. */
export const auditColumns = ["Time", "Event", "By", "From", "About", "Details"];

/** Events, the newest first. The id of a row is that of its event, so that the script recognizes new ones. */
export async function auditTable(request: PageRequest, events: readonly AuditEvent[], caption: string) {
  const names = await namesOf(request, events);
  const rows = events.map((event) => ({
    id: `event-${event.sequence}`,
    cells: cellsOf(event, names, request.nowMs),
  }));
  return <Table caption={caption} class="rows feed" columns={auditColumns} rows={rows} isHeaded={false} />;
}

/** @param names of connections and providers by their ids, as far as the caller may know them */
export function cellsOf(event: AuditEvent, names: ReadonlyMap<string, string>, nowMs: number): readonly View[] {
  const { sequence, time, eventType, principal, origin, via, connectionId, providerId } = event;
  const { reason, revision, count } = event;
  const details = [reason, revision > 0n && `revision ${revision}`, count > 0n && counted(Number(count), "time")];
  // By name, or by the first group of the id, which is enough to distinguish it from others.
  const about = (kind: string, id: string) =>
    id !== "" && <a href={`/${kind}s/${id}`}>{names.has(id) ? <bdi>{names.get(id)}</bdi> : `${kind} ${id.slice(0, 8)}`}</a>;
  return [
    <a class="plain" href={`/audit/${sequence}`}><Moment time={time} nowMs={nowMs} /></a>,
    <>{eventText(eventType)} <a class="soft" href={pathWith("/audit", { type: eventType })}><code>{eventType}</code></a></>,
    <a href={pathWith("/audit", { principal })}><bdi>{principal}</bdi></a>,
    [origin, ...via.map((each) => `via ${each}`)].filter((part) => part !== "").join(" "),
    <>{about("connection", connectionId)}{connectionId && providerId && ", "}{about("provider", providerId)}</>,
    details.filter(Boolean).join(", "),
  ];
}

/** What was deleted is not among them. */
export async function namesOf(request: PageRequest, events: readonly AuditEvent[]) {
  const names = new Map((await allProviders(request)).map(({ id, name }) => [id, name]));
  const ids = new Set(events.map(({ connectionId }) => connectionId).filter((id) => id !== ""));
  const found = [...ids].map((connectionId) =>
    request.call(ConnectionService.method.getConnection, { connectionId }).catch(() => undefined),
  );
  for (const { connection } of (await Promise.all(found)).flatMap((each) => each ?? []))
    if (connection) names.set(connection.id, `${connection.userId} at ${connection.providerName}`);
  return names;
}
