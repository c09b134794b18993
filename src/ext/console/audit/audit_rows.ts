import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { counted } from "../../../model/quantity_text.js";
import { type Html, html, joined } from "../../../server/pages/html.js";
import { isoOf, utcOf } from "../frame/moments.js";
import { eventWords } from "./audit_words.js";

/** Events, the newest first. The id of a row is that of its event, so that the script can tell new ones. */
export function auditTable(events: readonly AuditEvent[], caption: string): Html {
  return html`<table class="rows">
<caption class="hidden">${caption}</caption>
<thead><tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>
${events.map(auditRow)}
</tbody>
</table>`;
}

const columns = ["Time", "Event", "By", "From", "About", "Details"] as const;

function auditRow(event: AuditEvent): Html {
  const { sequence, eventType, principal, origin, via } = event;
  const words = eventWords[eventType];
  const cells = [
    timeOf(event),
    words === undefined
      ? html`<code>${eventType}</code>`
      : html`${words} <code class="soft">${eventType}</code>`,
    html`<a href="/audit?${new URLSearchParams({ principal }).toString()}"><bdi>${principal}</bdi></a>`,
    [origin, ...via.map((each) => `via ${each}`)].filter((part) => part !== "").join(" "),
    aboutOf(event),
    detailsOf(event),
  ];
  return html`<tr id="event-${String(sequence)}">${cells.map((cell, index) => html`<td data-label="${columns[index]}"><div>${cell}</div></td>`)}</tr>`;
}

function timeOf({ time }: AuditEvent): Html | undefined {
  if (!time) return undefined;
  const timeMs = timestampMs(time);
  return html`<time datetime="${isoOf(timeMs)}">${utcOf(timeMs)}</time>`;
}

/** The first group of an id is enough to tell it from others. */
function aboutOf({ connectionId, providerId }: AuditEvent): Html {
  const connection =
    connectionId === ""
      ? []
      : [html`<a href="/connections/${connectionId}">connection ${connectionId.slice(0, 8)}</a>`];
  const provider =
    providerId === ""
      ? []
      : [html`<a href="/providers/${providerId}">provider ${providerId.slice(0, 8)}</a>`];
  return joined([...connection, ...provider], ", ");
}

function detailsOf({ reason, revision, count }: AuditEvent): string {
  const parts = [
    reason,
    revision === 0n ? "" : `revision ${revision}`,
    count === 0n ? "" : counted(Number(count), "time"),
  ];
  return parts.filter((part) => part !== "").join(", ");
}
