import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Input, Select } from "../../../server/views/fields.js";
import { Facts, Go, pathWith, Tabs } from "../../../server/views/parts.js";
import { ErrorSummary, type FormErrors, formErrors, Problem } from "../kit/errors.js";
import { consolePage } from "../kit/page.js";
import type { PageRequest } from "../kit/request.js";
import { eventWords } from "../kit/words.js";
import { type AboutNames, AuditTable, cellsOf } from "./audit_table.js";

const path = "/audit";
const pageSize = 50;
/** A filter that few events pass is looked for in so many pages, some 5 000 events each, before the person is asked. */
const maxLooks = 5;

/** Of the page of one event: some 50 000 newer ones may be passed on the way to it. */
const maxCalls = 50;

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

export async function auditPage(request: PageRequest): Promise<Answer> {
  const { query } = request;
  const given = filterNames.map((name) => [name, (query.get(name) ?? "").trim()]);
  const filter = Object.fromEntries(given) as Filter;
  const pageToken = query.get("page") ?? "";
  const common = { title: "Audit", section: path };
  const found = await find(request, filter, pageToken).catch(formErrors);
  if (!("events" in found)) {
    const form = <FilterForm filter={filter} errors={found} />;
    const content = <><Shortcuts filter={filter} /><ErrorSummary rest={[]} />{form}</>;
    return consolePage(request, { ...common, content, status: found.status });
  }
  const { events, nextPageToken } = found;
  const isNewest = pageToken === "";
  const none = nextPageToken === "" ? "No event passes." : "None among the events that were looked at.";
  const content = (
    <>
      <Shortcuts filter={filter} />
      <FilterForm filter={filter} />
      {isNewest && <p class="soft" data-script hidden>New events appear by themselves.</p>}
      <div id="events" data-poll={isNewest ? "2" : undefined}>
        {events.length === 0 ? <p>{none}</p> : (
          <AuditTable
            events={events}
            caption="Audit events, the newest first"
            names={await namesOf(request, events)}
          />
        )}
        {nextPageToken !== "" && (
          <p>
            <Go to={pathWith(path, { ...filter, page: nextPageToken })} text="Older" kind="quiet" />
          </p>
        )}
      </div>
    </>
  );
  return consolePage(request, { ...common, content });
}

/** One event, at an address that stays. */
export async function eventPage(request: PageRequest): Promise<Answer> {
  const { sequence = "" } = request.params;
  if (!/^[1-9]\d{0,17}$/.test(sequence)) return noEvent(request);
  const asked = { afterSequence: BigInt(sequence) - 1n, pageSize: 1000 };
  let pageToken = "";
  let event: AuditEvent | undefined;
  // Newest first: the event is the last one behind its forerunner.
  for (let calls = 0; calls < maxCalls && event === undefined; calls++) {
    const page = await request.call(AuditService.method.listAuditEvents, { ...asked, pageToken });
    event = page.events.find((each) => String(each.sequence) === sequence);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  if (!event) return noEvent(request);
  const [time, what, by, from, about, details] = cellsOf(event, await namesOf(request, [event]));
  const content = (
    <section class="card">
      <Facts
        of={[
          ["Time", time],
          ["Event", what],
          ["By", by],
          ["From", from],
          ["About", event.connectionId || event.providerId ? about : undefined],
          ["Details", details],
          ["Number", sequence],
          ["Hash", event.hash && <code>{event.hash}</code>],
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

async function find(
  { call, nowMs }: PageRequest,
  { type, principal, connection, provider, since }: Filter,
  pageToken: string,
): Promise<{ readonly events: readonly AuditEvent[]; readonly nextPageToken: string }> {
  const [, , backMs] = periods.find(([word]) => word === since) ?? [];
  const filter = { eventType: type, principal, connectionId: connection, providerId: provider };
  const from = backMs === undefined ? {} : { since: timestampFromMs(nowMs - backMs) };
  const events: AuditEvent[] = [];
  let next = pageToken;
  for (let looks = 0; looks < maxLooks && events.length < pageSize; looks++) {
    const asked = { pageSize: pageSize - events.length, pageToken: next };
    const page = await call(AuditService.method.listAuditEvents, { ...filter, ...from, ...asked });
    events.push(...page.events);
    next = page.nextPageToken;
    if (next === "") break;
  }
  return { events, nextPageToken: next };
}

/** What is gone keeps its id. */
async function namesOf({ call }: PageRequest, events: readonly AuditEvent[]): Promise<AboutNames> {
  const names = new Map<string, string>();
  const ids = (of: (event: AuditEvent) => string) => [...new Set(events.map(of))].filter((id) => id !== "");
  const { providers } = await call(ProviderService.method.listProviders, { pageSize: 1000 });
  for (const { id, name } of providers) names.set(id, name);
  await Promise.all(
    ids(({ connectionId }) => connectionId).map(async (connectionId) => {
      const found = await call(ConnectionService.method.getConnection, { connectionId }).catch(
        () => undefined,
      );
      if (found?.connection)
        names.set(connectionId, `${found.connection.userId} at ${found.connection.providerName}`);
    }),
  );
  return names;
}

function Shortcuts({ filter }: { readonly filter: Filter }) {
  const tabs = shortcuts.map(([type, text]) => ({
    ...{ href: pathWith(path, { type }), text, isCurrent: type === filter.type },
  }));
  return <Tabs label="Kinds of events" tabs={tabs} />;
}

function FilterForm({ filter, errors }: { readonly filter: Filter; readonly errors?: FormErrors }) {
  const { type, principal, connection, provider, since } = filter;
  const isOpen = errors !== undefined || [principal, connection, provider, since].some((text) => text !== "");
  const error = (field: string) => errors?.take(field);
  return (
    <details class="filters" open={isOpen}>
      <summary>Filter</summary>
      <form method="get" action={path} class="inline-fields">
        <Input
          {...{ name: "type", label: "Event type", value: type, error: error("event_type"), maxLength: 64 }}
        />
        <Input
          {...{ name: "principal", label: "By", value: principal, error: error("principal"), maxLength: 512 }}
        />
        <Input
          {...{ name: "connection", label: "Connection id", value: connection, maxLength: 36 }}
          error={error("connection_id")}
        />
        <Input
          {...{ name: "provider", label: "Provider id", value: provider, maxLength: 36 }}
          error={error("provider_id")}
        />
        <Select
          {...{ name: "since", label: "Since", value: since }}
          options={periods.map(([word, text]) => [word, text] as const)}
        />
        <div class="actions">
          <button type="submit">Show</button>
          <Go to={path} text="Clear" kind="quiet" />
        </div>
      </form>
    </details>
  );
}
