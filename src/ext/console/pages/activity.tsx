import { toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditEventSchema } from "../../../gen/nexus/v1/audit_pb.js";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import { InvalidArgument } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Input, Select } from "../../../server/pages/kit.js";
import { isRefusal } from "../agents/usage.js";
import { Id } from "../kit/copy.js";
import { cellsOf, eventColumns, eventTable, namesOf } from "../kit/event_table.js";
import { fieldsOf, Problem } from "../kit/forms.js";
import { consoleHeaders, consolePage } from "../kit/page.js";
import { Go, LiveMark, Moment, pathWith, Tabs, utcOf } from "../kit/parts.js";
import { allProviders, findEvents } from "../kit/queries.js";
import { type PageRequest, textsOf } from "../kit/request.js";
import { eventText } from "../kit/words.js";

const path = "/activity";
const ofPage = { most: 50, calls: 20 };
/** Of the page of one event: the newer ones that may be passed on the way to it. */
const ofEvent = { most: 50_000, calls: 50 };
/** What one file holds; more is for `nexusd audit`. */
const ofFile = { most: 10_000, calls: 50 };

const hourMs = 60 * 60_000;
const periods: readonly (readonly [word: string, text: string, ms?: number])[] = [
  ["", "Any time"],
  ["1h", "The last hour", hourMs],
  ["24h", "The last 24 hours", 24 * hourMs],
  ["7d", "The last 7 days", 7 * 24 * hourMs],
  ["30d", "The last 30 days", 30 * 24 * hourMs],
];

const uses = ["token_retrieved", "token_reads_counted", "egress_used", "token_retrieval_failed"];

/** What a person looks for: the word in the URL, its name, and the events. */
const kinds: readonly (readonly [word: string, text: string, passes?: (event: AuditEvent) => boolean])[] = [
  ["", "All but refreshes"],
  ["requests", "Requests", ({ eventType }) => uses.includes(eventType)],
  ["refused", "Refused", (event) => isRefusal(event) || ["approval.refused", "approval.expired"].includes(event.eventType)],
  ["approvals", "Approvals", ({ eventType }) => eventType.startsWith("approval.")],
  ["changes", "Changes", ({ eventType }) => !uses.includes(eventType) && !/^(approval|access|console)\./.test(eventType)],
  ["all", "With refreshes"],
];

const filterNames = ["show", "agent", "provider", "since", "from", "until", "type", "connection"] as const;
type ActivityFilter = Readonly<Record<(typeof filterNames)[number], string>>;

/** The events of a filter as lines of JSON, as `nexusd audit --json` has them. */
export async function exportEvents(request: PageRequest): Promise<HttpAnswer> {
  const given = filterOf(request);
  const { found } = await findEvents(request, requestOf(given, request.nowMs), ofFile, passOf(given));
  const lines = found.map((event) => `${toJsonString(AuditEventSchema, event, { useProtoFieldName: true })}\n`);
  const name = `activity-${utcOf(request.nowMs).slice(0, 10)}.ndjson`;
  const headers = {
    ...consoleHeaders,
    "content-type": "application/x-ndjson",
    "content-disposition": `attachment; filename="${name}"`,
  };
  return { status: 200, headers, body: lines.join("") };
}

/** Who asked what, of which API, with whose credential. */
export async function activityPage(request: PageRequest): Promise<HttpAnswer> {
  const { query, nowMs } = request;
  const filter = filterOf(request);
  const pageToken = query.get("page") ?? "";
  const providers = await allProviders(request);
  const listRequest = { ...requestOf(filter, nowMs), pageToken };
  const { found, next } = await findEvents(request, listRequest, ofPage, passOf(filter));
  const isLive = pageToken === "" && filter.until === "";
  const none = next === "" ? "Nothing matches." : "Nothing among the events that were looked at.";
  const content = (
    <>
      <Tabs label="What to show" tabs={kinds.map(([word, text]) => ({ href: pathWith(path, { ...filter, show: word }), text, isCurrent: filter.show === word }))} />
      {filterForm(filter, providers)}
      <div id="events" data-poll={isLive ? "2" : undefined}>
        {found.length === 0 ? <p>{none}</p> : await eventTable(request, found, "Activity, the newest first")}
      </div>
      <p id="older" data-poll={isLive ? "2" : undefined}>
        {next !== "" && <Go to={pathWith(path, { ...filter, page: next })} text="Older" kind="quiet" />}
      </p>
    </>
  );
  const actions = (
    <>
      {isLive && <LiveMark />}
      <Go to={pathWith(`${path}/export`, filter)} text="Export" kind="quiet" />
    </>
  );
  return consolePage(request, { title: "Activity", section: path, content, actions });
}

/** One event, at an address that stays. */
export async function eventPage(request: PageRequest): Promise<HttpAnswer> {
  const { sequence = "" } = request.params;
  const after = /^[1-9]\d{0,17}$/.test(sequence) ? { afterSequence: BigInt(sequence) - 1n } : undefined;
  const { found } = after ? await findEvents(request, after, ofEvent) : { found: [] };
  const event = found.find((each) => String(each.sequence) === sequence);
  if (!event) {
    const content = <Problem message="The audit log has no event of this number, or too many newer ones." />;
    return consolePage(request, { title: "No such event", section: path, content, status: 404 });
  }
  const cells = cellsOf(event, await namesOf(request, [event]));
  const known = eventColumns.map((column, index) => [column, cells[index]] as const).slice(1);
  const { time, origin, via, principal, reason, agent, session, traceId, revision, eventType } = event;
  const atMs = time ? timestampMs(time) : 0;
  const content = (
    <section class="card">
      <Facts
        of={[
          ["Time", <>{utcOf(atMs)} (<Moment time={time} nowMs={request.nowMs} />)</>],
          ...known,
          ["Principal", <bdi>{principal}</bdi>],
          ["For", agent !== "" && <bdi>{agent}</bdi>],
          ["From", [origin, ...via.map((each) => `via ${each}`)].filter((part) => part !== "").join(" ")],
          ["Reason", reason !== "" && <bdi>{reason}</bdi>],
          ["Session", session],
          ["Trace", traceId],
          ["Revision", revision > 0n && String(revision)],
          ["Type", <a href={pathWith(path, { type: eventType, show: "all" })}><code>{eventType}</code></a>],
          ["Number", sequence],
          ["Hash", event.hash && <Id of={event.hash} />],
        ]}
      />
      <p><a href={path}>All activity</a></p>
    </section>
  );
  const title = `${eventText(eventType)}, event ${sequence}`;
  return consolePage(request, { title, section: path, content });
}

/** What people call an agent is its key's name. */
function filterOf({ query }: PageRequest): ActivityFilter {
  const given = textsOf(query, filterNames);
  const isName = given.agent !== "" && !given.agent.includes(":") && !["owner", "admin", "browser", "daemon"].includes(given.agent);
  return { ...given, agent: isName ? `key:${given.agent}` : given.agent };
}

function passOf({ show }: ActivityFilter): ((event: AuditEvent) => boolean) | undefined {
  const [, , passes] = kinds.find(([word]) => word === show) ?? [];
  return passes;
}

/** @throws InvalidArgument */
function requestOf({ show, type, agent, connection, provider, since, from, until }: ActivityFilter, nowMs: number) {
  const [, , backMs] = periods.find(([word]) => word === since) ?? [];
  const sinceMs = momentOf("from", from) ?? (backMs === undefined ? undefined : nowMs - backMs);
  const untilMs = momentOf("until", until);
  return {
    ...{ eventType: type, agent, connectionId: connection, providerId: provider },
    withoutDaemon: show !== "all" && type === "" && connection === "" && agent !== "daemon",
    ...(sinceMs !== undefined && { since: timestampFromMs(sinceMs) }),
    ...(untilMs !== undefined && { until: timestampFromMs(untilMs) }),
  };
}

/** A time as fields of forms send it, in UTC: `2026-12-01T14:00`. */
function momentOf(field: string, text: string): number | undefined {
  if (text === "") return undefined;
  const timeMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(text) ? Date.parse(`${text}Z`) : Number.NaN;
  if (!Number.isNaN(timeMs)) return timeMs;
  throw new InvalidArgument([{ field, description: "must be a date and time in UTC, such as 2026-12-01T14:00" }]);
}

function filterForm(filter: ActivityFilter, providers: readonly Provider[]) {
  const field = fieldsOf({ form: new URLSearchParams({ ...filter, agent: filter.agent.replace(/^key:/, "") }) });
  const any = ["", "Any"] as const;
  return (
    <form method="get" action={path} class="inline-fields" role="search" aria-label="Filter">
      {filter.show !== "" && <input type="hidden" name="show" value={filter.show} />}
      <Input {...field("agent", "Agent", { maxLength: 512 })} />
      <Select {...field("provider", "API")} options={[any, ...providers.map(({ id, name }) => [id, name] as const)]} />
      <Input {...field("from", "From (UTC)")} type="datetime-local" />
      <Input {...field("until", "Until (UTC)")} type="datetime-local" />
      <Select {...field("since", "Or")} options={periods.map(([word, text]) => [word, text] as const)} />
      {filter.type !== "" && <Select {...field("type", "Event")} options={[any, [filter.type, eventText(filter.type)]]} />}
      {filter.connection !== "" && (
        <Select {...field("connection", "Connection")} options={[any, [filter.connection, "The chosen one"]]} />
      )}
      <div class="actions">
        <button type="submit">Show</button>
        <Go to={path} text="Clear" kind="quiet" />
      </div>
    </form>
  );
}
