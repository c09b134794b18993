import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { counted } from "../../../model/quantity_text.js";
import { Moment, pathWith, Table } from "../../../server/views/parts.js";
import type { View } from "../../../server/views/view.js";
import type { PageRequest } from "../kit/request.js";
import { eventWords } from "../kit/words.js";

/** Names of connections and providers by their ids, as far as the caller may know them. */
export type AboutNames = ReadonlyMap<string, string>;

const columns = ["Time", "Event", "By", "From", "About", "Details"];

/** Events, the newest first. The id of a row is that of its event, so that the script recognizes new ones. */
export function AuditTable(props: {
  readonly events: readonly AuditEvent[];
  readonly caption: string;
  readonly names: AboutNames;
  readonly nowMs: number;
}) {
  const rows = props.events.map((event) => ({
    id: `event-${event.sequence}`,
    cells: cellsOf(event, props.names, props.nowMs),
  }));
  return <Table caption={props.caption} class="rows feed" columns={columns} rows={rows} isHeaded={false} />;
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
    <>{words !== undefined && <>{words} </>}<code class="soft">{eventType}</code></>,
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
export async function namesOf({ call }: PageRequest, events: readonly AuditEvent[]): Promise<AboutNames> {
  const { providers } = await call(ProviderService.method.listProviders, { pageSize: 1000 });
  const names = new Map(providers.map(({ id, name }) => [id, name]));
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
