import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AuditEvent,
  AuditService,
  type ListAuditEventsRequestSchema,
} from "../../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { counted } from "../../../model/quantity_text.js";
import { Moment, pathWith, Table } from "../../../server/views/parts.js";
import type { View } from "../../../server/views/view.js";
import { allProviders } from "./names.js";
import type { PageRequest } from "./request.js";
import { eventWords } from "./words.js";

/** Names of connections and providers by their ids, as far as the caller may know them. */
export type AboutNames = ReadonlyMap<string, string>;

const columns = ["Time", "Event", "By", "From", "About", "Details"];

/** The newest that pass a filter. A call looks at some 5 000 events, and `looks` of them are made before the person is asked. */
export async function findEvents(
  { call }: PageRequest,
  { pageToken = "", ...filter }: MessageInitShape<typeof ListAuditEventsRequestSchema>,
  { most, looks = 1 }: { readonly most: number; readonly looks?: number },
) {
  const events: AuditEvent[] = [];
  let next = pageToken;
  for (let made = 0; made < looks && events.length < most; made++) {
    const asked = { ...filter, pageSize: Math.min(1_000, most - events.length), pageToken: next };
    const page = await call(AuditService.method.listAuditEvents, asked);
    events.push(...page.events);
    next = page.nextPageToken;
    if (next === "") break;
    // Others' calls are not held up by a search.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { events, nextPageToken: next };
}

/** Events, the newest first. The id of a row is that of its event, so that the script recognizes new ones. */
export async function auditTable(request: PageRequest, events: readonly AuditEvent[], caption: string) {
  const names = await namesOf(request, events);
  const rows = events.map((event) => ({
    id: `event-${event.sequence}`,
    cells: cellsOf(event, names, request.nowMs),
  }));
  return <Table caption={caption} class="rows feed" columns={columns} rows={rows} isHeaded={false} />;
}

export function cellsOf(event: AuditEvent, names: AboutNames, nowMs: number): readonly View[] {
  const { sequence, time, eventType, principal, origin, via, reason, revision, count } = event;
  const words = eventWords[eventType];
  const details = [
    reason,
    revision > 0n && `revision ${revision}`,
    count > 0n && counted(Number(count), "time"),
  ];
  return [
    <a class="plain" href={`/audit/${sequence}`}><Moment time={time} nowMs={nowMs} /></a>,
    <>{words !== undefined && <>{words} </>}<a class="soft" href={pathWith("/audit", { type: eventType })}><code>{eventType}</code></a></>,
    <a href={pathWith("/audit", { principal })}><bdi>{principal}</bdi></a>,
    [origin, ...via.map((each) => `via ${each}`)].filter((part) => part !== "").join(" "),
    <About event={event} names={names} />,
    details.filter(Boolean).join(", "),
  ];
}

/** By name, or by the first group of the id, which is enough to distinguish it from others. */
function About({ event, names }: { readonly event: AuditEvent; readonly names: AboutNames }) {
  const { connectionId, providerId } = event;
  const link = (kind: string, id: string) => (
    <a href={`/${kind}s/${id}`}>{names.has(id) ? <bdi>{names.get(id)}</bdi> : `${kind} ${id.slice(0, 8)}`}</a>
  );
  return (
    <>
      {connectionId !== "" && link("connection", connectionId)}
      {connectionId !== "" && providerId !== "" && ", "}
      {providerId !== "" && link("provider", providerId)}
    </>
  );
}

/** What is gone keeps its id. */
export async function namesOf(request: PageRequest, events: readonly AuditEvent[]): Promise<AboutNames> {
  const { call } = request;
  const names = new Map((await allProviders(request)).map(({ id, name }) => [id, name]));
  const ids = [...new Set(events.map(({ connectionId }) => connectionId))].filter((id) => id !== "");
  await Promise.all(
    ids.map(async (connectionId) => {
      const found = await call(ConnectionService.method.getConnection, { connectionId }).catch(() => undefined);
      if (found?.connection)
        names.set(connectionId, `${found.connection.userId} at ${found.connection.providerName}`);
    }),
  );
  return names;
}
