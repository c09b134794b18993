import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { agentOf } from "../../../model/access/access.js";
import { counted } from "../../../model/model.js";
import type { View } from "../../../server/pages/kit.js";
import { agentPath, agentText } from "./agent_names.js";
import { isoOf, pathWith, Table, utcOf } from "./parts.js";
import { allProviders } from "./queries.js";
import type { PageRequest } from "./request.js";
import { decisionOf, reasonText } from "./words.js";

/** Of the cells of an event. */
export const eventColumns = ["Time (UTC)", "Agent", "What", "API", "Credential of", "Decision"];

/** What connections and providers are called, by their ids, as far as the caller may know them. */
export type EventNames = ReadonlyMap<string, string>;

/** Events, the newest first. The id of a row is that of its event, so that the script recognizes new ones. */
export async function eventTable(request: PageRequest, events: readonly AuditEvent[], caption: string) {
  const names = await namesOf(request, events);
  const rows = events.map((event) => ({ id: `event-${event.sequence}`, cells: cellsOf(event, names) }));
  return <Table caption={caption} class="rows feed" columns={eventColumns} rows={rows} isHeaded={false} />;
}

/** Who asked what, of which API, with whose credential, and who or what decided. */
export function cellsOf(event: AuditEvent, names: EventNames): readonly View[] {
  const { sequence, time, connectionId, providerId, userId, rule, shadow, approver } = event;
  const agent = agentOf(agentOfEvent(event));
  const details = detailsOf(event);
  const provider = providerId !== "" && <a href={`/providers/${providerId}`}><bdi>{names.get(providerId) ?? `provider ${providerId.slice(0, 8)}`}</bdi></a>;
  const user = userId !== "" ? userId : (names.get(connectionId) ?? `connection ${connectionId.slice(0, 8)}`);
  return [
    <a class="plain" href={`/activity/${sequence}`}><When time={time} /></a>,
    <a href={agentPath(agent)}><bdi>{agentText(agent)}</bdi></a>,
    <>{whatOf(event)}{details !== "" && <span class="soft block"><bdi>{details}</bdi></span>}</>,
    provider,
    connectionId !== "" && <a href={`/connections/${connectionId}`}><bdi>{user}</bdi></a>,
    [
      rule !== "" && <div><RulePlace rule={rule} /></div>,
      shadow !== "" && <div class="soft">shadow: <RulePlace rule={shadow} /></div>,
      approver !== "" && <div><bdi>{approver}</bdi></div>,
    ],
  ];
}

function whatOf(event: AuditEvent): string {
  const count = Number(event.count);
  if (event.eventType === "egress_used") return `${counted(Math.max(1, count), "request")} sent`;
  return count > 1 ? `${reasonText(event)}, ${counted(count, "time")}` : reasonText(event);
}

/** In decisions about a request, the caller whose request it was. */
export function agentOfEvent({ eventType, agent, principal }: AuditEvent): string {
  return eventType.startsWith("approval.") && agent !== "" ? agent : principal;
}

/** Absolute: people look for a time of day. */
export function When({ time }: { readonly time: Timestamp | undefined }) {
  const atMs = time ? timestampMs(time) : 0;
  return <time datetime={isoOf(atMs)} title={utcOf(atMs)}>{utcOf(atMs).slice(5, 19)}</time>;
}

/** What the type does not say: the request of an approval without its digest, the name of what was changed. */
function detailsOf(event: AuditEvent): string {
  const { eventType, reason, session } = event;
  const decision = decisionOf(event);
  if (decision) return decision.request;
  if (["access.denied", "token_retrieval_failed", "policy.loaded"].includes(eventType)) return "";
  if (eventType === "egress_used" || reason === "") return session === "" ? "" : `session ${session}`;
  return reason.length > 120 ? `${reason.slice(0, 120)}…` : reason;
}

/** The rule of an event, as the audit log names it: `line 3 of 9f86d081884c`. */
export function RulePlace({ rule }: { readonly rule: string }) {
  const [, line] = /^line (\d+) of [0-9a-f]+$/.exec(rule) ?? [];
  if (line !== undefined) return <span title={rule}>rule in line {line}</span>;
  return <bdi>{rule.startsWith("no line of") ? "no rule matched" : rule}</bdi>;
}

/** What was deleted is not among them. */
export async function namesOf(request: PageRequest, events: readonly AuditEvent[]): Promise<EventNames> {
  const names = new Map((await allProviders(request)).map(({ id, name }) => [id, name]));
  // The others name their user.
  const unnamed = events.filter(({ connectionId, userId }) => connectionId !== "" && userId === "");
  const ids = new Set(unnamed.map(({ connectionId }) => connectionId));
  const found = [...ids].map((connectionId) =>
    request.call(ConnectionService.method.getConnection, { connectionId }).catch(() => undefined),
  );
  for (const { connection } of (await Promise.all(found)).flatMap((each) => each ?? []))
    if (connection) names.set(connection.id, connection.userId);
  return names;
}

/** To the activity of an agent. */
export function activityOf(agent: string, more: Readonly<Record<string, string>> = {}): string {
  return pathWith("/activity", { agent, ...more });
}
