import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { counted } from "../../../model/model.js";
import { isoOf, Moment, pathWith, type Tone, utcOf } from "../kit/parts.js";
import { findEvents } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";
import { eventText } from "../kit/words.js";

/** A call looks at a bounded part of the log, which may hold nothing of this connection. */
const bounds = { most: 60, calls: 10 };

/** What happens again and again is one entry. */
const reads = ["token_retrieved", "token_reads_counted", "egress_used"];
const folded = ["token_refreshed", "token_refresh_requested", ...reads];

interface TimelineEntry {
  readonly newest: AuditEvent;
  times: number;
}

/** What happened to a connection, the newest first, by the day. */
export async function timelineOf(request: PageRequest, { id: connectionId }: Connection) {
  const canRead = request.may("audit.read");
  const none = { found: [], next: "" };
  const { found: events, next: page } = canRead ? await findEvents(request, { connectionId }, bounds) : none;
  const entries = entriesOf(events);
  const days = [...new Set(entries.map(({ newest }) => dayOf(newest)))];
  return (
    <section class="timeline" aria-labelledby="history">
      <h2 id="history">History</h2>
      {!canRead && <p class="soft">The audit log is for the roles admin and operator.</p>}
      {canRead && events.length === 0 && (
        <p class="soft">The newest part of the audit log has nothing of this connection.</p>
      )}
      {readersOf(events, request.nowMs)}
      {days.map((day) => (
        <>
          <h3>{day}</h3>
          <ol>
            {entries
              .filter(({ newest }) => dayOf(newest) === day)
              .map((entry) => <TimelineEntry {...entry} />)}
          </ol>
        </>
      ))}
      {events.length > 0 && (
        <p>
          <a href={pathWith("/activity", { connection: connectionId, page })}>
            {page === "" ? "The same in the activity" : "Older events"}
          </a>
        </p>
      )}
    </section>
  );
}

/** Who got the token lately, each with the last time. */
function readersOf(events: readonly AuditEvent[], nowMs: number) {
  const ofReads = events.filter(({ eventType }) => reads.includes(eventType)).toReversed();
  const last = [...new Map(ofReads.map(({ principal, time }) => [principal, time]))].toReversed();
  if (last.length === 0) return undefined;
  return (
    <p>
      Token read by{" "}
      {last.map(([principal, time], index) => (
        <>{index > 0 && ", "}<bdi>{principal}</bdi> <Moment time={time} nowMs={nowMs} /></>
      ))}
      .
    </p>
  );
}

function entriesOf(events: readonly AuditEvent[]): TimelineEntry[] {
  const entries: TimelineEntry[] = [];
  for (const event of events) {
    const times = Math.max(1, Number(event.count));
    // Those since the last one that stands alone.
    const near = entries.slice(entries.findLastIndex(({ newest }) => !folded.includes(newest.eventType)) + 1);
    const same = near.find(({ newest }) => groupOf(newest) === groupOf(event));
    if (same && folded.includes(event.eventType)) same.times += times;
    else entries.push({ newest: event, times });
  }
  return entries;
}

function groupOf(event: AuditEvent): string {
  return [dayOf(event), event.eventType, event.principal].join("\n");
}

function dayOf({ time }: AuditEvent): string {
  return utcOf(time ? timestampMs(time) : 0).slice(0, 10);
}

function toneOf(eventType: string): Tone {
  if (/fail|error|fatal|reject|denied|given_up|detached|verification/.test(eventType)) return "bad";
  if (/revoked|deleted/.test(eventType)) return "idle";
  return ["oauth_flow_completed", "credential_captured", "connection.imported"].includes(eventType)
    ? "good"
    : "calm";
}

function TimelineEntry({ newest, times }: TimelineEntry) {
  const { sequence, eventType, principal, origin, reason, time } = newest;
  const atMs = time ? timestampMs(time) : 0;
  return (
    <li class={toneOf(eventType)}>
      <p>
        <b>{eventText(eventType)}</b>
        {times > 1 && <> {counted(times, "time")}</>}
        {reason !== "" && <>: <bdi>{reason}</bdi></>}
      </p>
      <p class="soft">
        <a href={`/activity/${sequence}`}><time datetime={isoOf(atMs)}>{utcOf(atMs).slice(11)}</time></a>{" "}
        by <bdi>{principal}</bdi>
        {origin !== "" && <> from {origin}</>}
      </p>
    </li>
  );
}
