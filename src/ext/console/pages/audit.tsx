import { toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { AuditEventSchema } from "../../../gen/nexus/v1/audit_pb.js";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Input, Select } from "../../../server/pages/kit.js";
import { auditColumns, auditTable, cellsOf, namesOf } from "../kit/audit_table.js";
import { Id } from "../kit/copy.js";
import { fieldsOf, Problem } from "../kit/forms.js";
import { consoleHeaders, consolePage } from "../kit/page.js";
import { Go, Moment, pathWith, Tabs, utcOf } from "../kit/parts.js";
import { allProviders, findEvents } from "../kit/queries.js";
import { type PageRequest, textsOf } from "../kit/request.js";
import { eventText } from "../kit/words.js";

const path = "/audit";
const ofPage = { most: 50, calls: 5 };
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

/** Filters that are requested often: the event type, and its name. */
const shortcuts: readonly (readonly [type: string, label: string])[] = [
  ["", "Everything"],
  ["access.denied", "Denied calls"],
  ["token_refresh_failed", "Failed refreshes"],
  ["token_refresh_fatal", "Lost grants"],
  ["token_retrieved", "Tokens read"],
  ["api_key.created", "New API keys"],
];

const filterNames = ["type", "principal", "connection", "provider", "since"] as const;
type AuditFilter = Readonly<Record<(typeof filterNames)[number], string>>;

/** The events of a filter as lines of JSON, as `nexusd audit --json` has them. */
export async function exportEvents(request: PageRequest): Promise<HttpAnswer> {
  const filter = requestOf(textsOf(request.query, filterNames), request.nowMs);
  const { found } = await findEvents(request, filter, ofFile);
  const lines = found.map((event) => `${toJsonString(AuditEventSchema, event, { useProtoFieldName: true })}\n`);
  const name = `audit-${utcOf(request.nowMs).slice(0, 10)}.ndjson`;
  const headers = {
    ...consoleHeaders,
    "content-type": "application/x-ndjson",
    "content-disposition": `attachment; filename="${name}"`,
  };
  return { status: 200, headers, body: lines.join("") };
}

export async function auditPage(request: PageRequest): Promise<HttpAnswer> {
  const { query, nowMs } = request;
  const filter = textsOf(query, filterNames);
  const pageToken = query.get("page") ?? "";
  const providers = await allProviders(request);
  const listRequest = { ...requestOf(filter, nowMs), pageToken };
  const { found, next } = await findEvents(request, listRequest, ofPage);
  const isNewest = pageToken === "";
  const none = next === "" ? "No event passes." : "None among the events that were looked at.";
  const content = (
    <>
      {shortcutsOf(filter)}
      {filterForm(filter, providers)}
      {isNewest && <p class="soft" data-script hidden>New events appear by themselves.</p>}
      <div id="events" data-poll={isNewest ? "2" : undefined}>
        {found.length === 0 ? <p>{none}</p> : await auditTable(request, found, "Audit events, the newest first")}
      </div>
      <p id="older" data-poll={isNewest ? "2" : undefined}>
        {next !== "" && <Go to={pathWith(path, { ...filter, page: next })} text="Older" kind="quiet" />}
      </p>
    </>
  );
  const actions = <Go to={pathWith(`${path}/export`, filter)} text="Export" kind="quiet" />;
  return consolePage(request, { title: "Audit", section: path, content, actions });
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
  const cells = cellsOf(event, await namesOf(request, [event]), request.nowMs);
  const facts = auditColumns.map((column, index) => [column, cells[index]] as const).slice(1);
  const atMs = event.time ? timestampMs(event.time) : 0;
  const content = (
    <section class="card">
      <Facts
        of={[
          ["Time", <>{utcOf(atMs)} (<Moment time={event.time} nowMs={request.nowMs} />)</>],
          ...facts.filter(([column]) => column !== "About" || event.connectionId || event.providerId),
          ["Number", sequence],
          ["Hash", event.hash && <Id of={event.hash} />],
        ]}
      />
      <p><a href={path}>The audit log</a></p>
    </section>
  );
  const title = `${eventText(event.eventType)}, event ${sequence}`;
  return consolePage(request, { title, section: path, content });
}

function requestOf({ type, principal, connection, provider, since }: AuditFilter, nowMs: number) {
  const [, , backMs] = periods.find(([word]) => word === since) ?? [];
  return {
    ...{ eventType: type, principal, connectionId: connection, providerId: provider },
    ...(backMs !== undefined && { since: timestampFromMs(nowMs - backMs) }),
  };
}

function shortcutsOf({ type: chosen }: AuditFilter) {
  const isKnown = shortcuts.some(([type]) => type === chosen);
  const all = isKnown ? shortcuts : [...shortcuts, [chosen, eventText(chosen)] as const];
  const tabs = all.map(([type, text]) => ({ href: pathWith(path, { type }), text, isCurrent: type === chosen }));
  return <Tabs label="Kinds of events" tabs={tabs} />;
}

function filterForm(filter: AuditFilter, providers: readonly Provider[]) {
  const isOpen = filterNames.some((name) => name !== "type" && filter[name] !== "");
  const field = fieldsOf({ form: new URLSearchParams(filter) });
  const any = ["", "Any"] as const;
  return (
    <details class="filters" id="filters" open={isOpen}>
      <summary>Filter</summary>
      <form method="get" action={path} class="inline-fields">
        <input type="hidden" name="type" value={filter.type} />
        <Input {...field("principal", "By", { maxLength: 512 })} />
        <Select
          {...field("provider", "Provider")}
          options={[any, ...providers.map(({ id, name }) => [id, name] as const)]}
        />
        <Select {...field("since", "Since")} options={periods.map(([word, text]) => [word, text] as const)} />
        {filter.connection !== "" && (
          <Select {...field("connection", "Connection")} options={[any, [filter.connection, "The chosen one"]]} />
        )}
        <div class="actions">
          <button type="submit">Show</button>
          <Go to={path} text="Clear" kind="quiet" />
        </div>
      </form>
    </details>
  );
}
