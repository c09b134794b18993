import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { counted } from "../../../model/quantity_text.js";
import { isoOf, pathWith, Table, utcOf } from "../../../server/views/parts.js";
import type { View } from "../../../server/views/view.js";
import { eventWords } from "../kit/words.js";

/** Names of connections and providers by their ids, as far as the caller may know them. */
export type AboutNames = ReadonlyMap<string, string>;

const columns = ["Time", "Event", "By", "From", "About", "Details"];

/** Events, the newest first. The id of a row is that of its event, so that the script can tell new ones. */
export function AuditTable(props: {
  readonly events: readonly AuditEvent[];
  readonly caption: string;
  readonly names?: AboutNames;
}) {
  const rows = props.events.map((event) => ({
    id: `event-${event.sequence}`,
    cells: cellsOf(event, props.names ?? new Map()),
  }));
  return <Table caption={props.caption} columns={columns} rows={rows} isHeaded={false} />;
}

export function cellsOf(event: AuditEvent, names: AboutNames): readonly View[] {
  const { sequence, time, eventType, principal, origin, via, reason, revision, count } = event;
  const words = eventWords[eventType];
  const atMs = time ? timestampMs(time) : 0;
  const details = [
    reason,
    revision > 0n && `revision ${revision}`,
    count > 0n && counted(Number(count), "time"),
  ];
  return [
    <a class="plain" href={`/audit/${sequence}`}><time datetime={isoOf(atMs)}>{utcOf(atMs)}</time></a>,
    <>{words !== undefined && <>{words} </>}<code class="soft">{eventType}</code></>,
    <a href={pathWith("/audit", { principal })}><bdi>{principal}</bdi></a>,
    [origin, ...via.map((each) => `via ${each}`)].filter((part) => part !== "").join(" "),
    <About event={event} names={names} />,
    details.filter(Boolean).join(", "),
  ];
}

/** By name, or by the first group of the id, which is enough to tell it from others. */
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
