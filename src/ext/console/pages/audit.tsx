import { toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { AuditEventSchema } from "../../../gen/nexus/v1/audit_pb.js";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Id, Input, Select } from "../../../server/views/fields.js";
import { Facts, Go, Moment, pathWith, Tabs, utcOf } from "../../../server/views/parts.js";
import { auditTable, cellsOf, findEvents, namesOf } from "../kit/audit_table.js";
import { ErrorSummary, type FormErrors, formErrors, noErrors, Problem } from "../kit/errors.js";
import { fieldsOf } from "../kit/forms.js";
import { allProviders } from "../kit/names.js";
import { consoleHeaders, consolePage } from "../kit/page.js";
import type { PageRequest } from "../kit/request.js";
import { eventWords } from "../kit/words.js";

const path = "/audit";
const pageSize = 50;
const maxLooks = 5;
/** Of the page of one event: the newer ones that may be passed on the way to it. */
const maxPassed = 50_000;
const maxCalls = 50;
/** What one file holds; more is for `nexusd audit`. */
const maxExported = 10_000;

const hourMs = 60 * 60_000;
const periods: readonly (readonly [word: string, text: string, ms?: number])[] = [
  ["", "Any time"],
  ["1h", "The last hour", hourMs],
  ["24h", "The last 24 hours", 24 * hourMs],
  ["7d", "The last 7 days", 7 * 24 * hourMs],
  ["30d", "The last 30 days", 30 * 24 * hourMs],
];

/** Filters that are asked for often: the event type, and its name. */
const shortcuts: readonly (readonly [type: string, label: string])[] = [
  ["", "Everything"],
  ["access.denied", "Denied calls"],
  ["token_refresh_failed", "Failed refreshes"],
  ["token_refresh_fatal", "Lost grants"],
  ["token_retrieved", "Tokens read"],
  ["api_key.created", "New API keys"],
];

const filterNames = ["type", "principal", "connection", "provider", "since"] as const;
type Filter = Readonly<Record<(typeof filterNames)[number], string>>;

function filterOf(query: URLSearchParams): Filter {
  return Object.fromEntries(filterNames.map((name) => [name, (query.get(name) ?? "").trim()])) as Filter;
}

/** The events of a filter as lines of JSON, as `nexusd audit --json` has them. */
export async function exportEvents(request: PageRequest): Promise<Answer> {
  const asked = requestOf(filterOf(request.query), request.nowMs);
  const { events } = await findEvents(request, asked, { most: maxExported, looks: maxCalls });
  const lines = events.map((event) => `${toJsonString(AuditEventSchema, event, { useProtoFieldName: true })}\n`);
  const name = `audit-${utcOf(request.nowMs).slice(0, 10)}.ndjson`;
  const headers = {
    ...consoleHeaders,
    "content-type": "application/x-ndjson",
    "content-disposition": `attachment; filename="${name}"`,
  };
  return { status: 200, headers, body: lines.join("") };
}

export async function auditPage(request: PageRequest): Promise<Answer> {
  const { query, nowMs } = request;
  const filter = filterOf(query);
  const pageToken = query.get("page") ?? "";
  const providers = await allProviders(request);
  const common = { title: "Audit", section: path };
  const asked = { ...requestOf(filter, nowMs), pageToken };
  const found = await findEvents(request, asked, { most: pageSize, looks: maxLooks }).catch(formErrors);
  if (!("events" in found)) {
    const form = <FilterForm filter={filter} providers={providers} errors={found} />;
    const content = <><Shortcuts filter={filter} /><ErrorSummary rest={[]} />{form}</>;
    return consolePage(request, { ...common, content, status: found.status });
  }
  const { events, nextPageToken } = found;
  const isNewest = pageToken === "";
  const none = nextPageToken === "" ? "No event passes." : "None among the events that were looked at.";
  const content = (
    <>
      <Shortcuts filter={filter} />
      <FilterForm filter={filter} providers={providers} />
      {isNewest && <p class="soft" data-script hidden>New events appear by themselves.</p>}
      <div id="events" data-poll={isNewest ? "2" : undefined}>
        {events.length === 0 ? <p>{none}</p> : await auditTable(request, events, "Audit events, the newest first")}
      </div>
      <p id="older" data-poll={isNewest ? "2" : undefined}>
        {nextPageToken !== "" && (
          <Go to={pathWith(path, { ...filter, page: nextPageToken })} text="Older" kind="quiet" />
        )}
      </p>
    </>
  );
  const actions = <Go to={pathWith(`${path}/export`, filter)} text="Export" kind="quiet" />;
  return consolePage(request, { ...common, content, actions });
}

/** One event, at an address that stays. */
export async function eventPage(request: PageRequest): Promise<Answer> {
  const { sequence = "" } = request.params;
  if (!/^[1-9]\d{0,17}$/.test(sequence)) return noEvent(request);
  const asked = { afterSequence: BigInt(sequence) - 1n };
  const { events } = await findEvents(request, asked, { most: maxPassed, looks: maxCalls });
  const event = events.find((each) => String(each.sequence) === sequence);
  if (!event) return noEvent(request);
  const [, what, by, from, about, details] = cellsOf(event, await namesOf(request, [event]), request.nowMs);
  const atMs = event.time ? timestampMs(event.time) : 0;
  const content = (
    <section class="card">
      <Facts
        of={[
          ["Time", <>{utcOf(atMs)} (<Moment time={event.time} nowMs={request.nowMs} />)</>],
          ["Event", what],
          ["By", by],
          ["From", from],
          ["About", event.connectionId || event.providerId ? about : undefined],
          ["Details", details],
          ["Number", sequence],
          ["Hash", event.hash && <Id of={event.hash} />],
        ]}
      />
      <p><a href={path}>The audit log</a></p>
    </section>
  );
  const title = `${eventWords[event.eventType] ?? event.eventType}, event ${sequence}`;
  return consolePage(request, { title, section: path, content });
}

function noEvent(request: PageRequest): Answer {
  const content = <Problem message="The audit log has no event of this number, or too many newer ones." />;
  return consolePage(request, { title: "No such event", section: path, content, status: 404 });
}

function requestOf({ type, principal, connection, provider, since }: Filter, nowMs: number) {
  const [, , backMs] = periods.find(([word]) => word === since) ?? [];
  return {
    ...{ eventType: type, principal, connectionId: connection, providerId: provider },
    ...(backMs !== undefined && { since: timestampFromMs(nowMs - backMs) }),
  };
}

function Shortcuts({ filter }: { readonly filter: Filter }) {
  const tabs = shortcuts.map(([type, text]) => ({
    ...{ href: pathWith(path, { type }), text, isCurrent: type === filter.type },
  }));
  return <Tabs label="Kinds of events" tabs={tabs} />;
}

function FilterForm(props: {
  readonly filter: Filter;
  readonly providers: readonly Provider[];
  readonly errors?: FormErrors;
}) {
  const { filter, providers, errors } = props;
  const isOpen = errors !== undefined || filterNames.some((name) => name !== "type" && filter[name] !== "");
  const field = fieldsOf({ form: new URLSearchParams(filter), errors: errors ?? noErrors });
  const known = Object.entries(eventWords);
  const types = known.some(([type]) => type === filter.type) ? known : [[filter.type, filter.type] as const, ...known];
  const any = ["", "Any"] as const;
  return (
    <details class="filters" id="filters" open={isOpen}>
      <summary>Filter</summary>
      <form method="get" action={path} class="inline-fields">
        <Select {...field("type", "Event", { at: "event_type" })} options={filter.type === "" ? [any, ...known] : [any, ...types]} />
        <Input {...field("principal", "By", { maxLength: 512 })} />
        <Input {...field("connection", "Connection id", { at: "connection_id", maxLength: 36 })} />
        <Select
          {...field("provider", "Provider", { at: "provider_id" })}
          options={[any, ...providers.map(({ id, name }) => [id, name] as const)]}
        />
        <Select {...field("since", "Since")} options={periods.map(([word, text]) => [word, text] as const)} />
        <div class="actions">
          <button type="submit">Show</button>
          <Go to={path} text="Clear" kind="quiet" />
        </div>
      </form>
    </details>
  );
}
