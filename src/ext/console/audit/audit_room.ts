import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleRoom, ConsoleVisit } from "../frame/console_visit.js";
import { inputField, selectField } from "../frame/fields.js";
import { errorSummary, type FormErrors, formErrors } from "../frame/form_errors.js";
import { auditTable } from "./audit_rows.js";
import { shortcuts } from "./audit_words.js";

const path = "/audit";
const pageSize = 50;
/** A filter that few events pass is looked for in so many pages, some 5 000 events each, before the person is asked. */
const maxLooks = 5;

export const auditRoom: ConsoleRoom = {
  title: "Audit",
  path,
  action: "audit.read",
  pages: { [path]: auditPage },
};

const filterNames = ["type", "principal", "connection", "provider", "since"] as const;
/** Events, and where it goes on. */
interface Found {
  readonly events: readonly AuditEvent[];
  readonly nextPageToken: string;
}

type Filter = Readonly<Record<(typeof filterNames)[number], string>>;

const hourMs = 60 * 60_000;
const sinceMs: ReadonlyMap<string, number> = new Map([
  ["1h", hourMs],
  ["24h", 24 * hourMs],
  ["7d", 7 * 24 * hourMs],
  ["30d", 30 * 24 * hourMs],
]);
const sinceWords = [
  ["", "Any time"],
  ["1h", "The last hour"],
  ["24h", "The last 24 hours"],
  ["7d", "The last 7 days"],
  ["30d", "The last 30 days"],
] as const;

async function auditPage(visit: ConsoleVisit): Promise<Answer> {
  const { query } = visit;
  const filter = Object.fromEntries(
    filterNames.map((name) => [name, (query.get(name) ?? "").trim()]),
  ) as Filter;
  const pageToken = query.get("page") ?? "";
  let found: Found;
  try {
    found = await find(visit, filter, pageToken);
  } catch (error) {
    return refusedPage(visit, filter, formErrors(error));
  }
  const { events, nextPageToken } = found;
  const isNewest = pageToken === "";
  const content = html`${shortcutLinks(filter)}
${filterForm(filter)}
<div id="events"${isNewest ? html` data-follow="2"` : undefined}>
${isNewest ? html`<p class="soft" data-follow-state>Load the page again for what is new.</p>` : undefined}
${events.length === 0 ? html`<p>${nextPageToken === "" ? "No event passes." : "None among the events that were looked at."}</p>` : auditTable(events, "Audit events, the newest first")}
${nextPageToken === "" ? undefined : html`<p><a class="button quiet" href="${target(filter, nextPageToken)}">Older</a></p>`}
</div>`;
  return consolePage(visit, { title: "Audit", room: path, content });
}

function refusedPage(visit: ConsoleVisit, filter: Filter, errors: FormErrors): Answer {
  const form = filterForm(filter, errors);
  const content = html`${shortcutLinks(filter)}
${errorSummary(errors.rest())}
${form}`;
  return consolePage(visit, { title: "Audit", room: path, content, status: errors.status });
}

async function find(
  visit: ConsoleVisit,
  { type, principal, connection, provider, since }: Filter,
  pageToken: string,
): Promise<Found> {
  const backMs = sinceMs.get(since);
  const events: AuditEvent[] = [];
  let next = pageToken;
  for (let looks = 0; looks < maxLooks && events.length < pageSize; looks++) {
    const page = await visit.call(AuditService.method.listAuditEvents, {
      pageSize: pageSize - events.length,
      pageToken: next,
      eventType: type,
      principal,
      connectionId: connection,
      providerId: provider,
      ...(backMs !== undefined && { since: timestampFromMs(visit.nowMs - backMs) }),
    });
    events.push(...page.events);
    next = page.nextPageToken;
    if (next === "") break;
  }
  return { events, nextPageToken: next };
}

function shortcutLinks(filter: Filter): Html {
  const links = shortcuts.map(([type, label]) => {
    const href = type === "" ? path : `${path}?${new URLSearchParams({ type }).toString()}`;
    return html`<li><a href="${href}"${type === filter.type ? html` aria-current="true"` : undefined}>${label}</a></li>`;
  });
  return html`<nav class="tabs" aria-label="Kinds of events"><ul>
${links}
</ul></nav>`;
}

function filterForm(filter: Filter, errors?: FormErrors): Html {
  const { type, principal, connection, provider, since } = filter;
  const error = (field: string): string | undefined => errors?.take(field);
  const fields = [
    inputField({ name: "type", label: "Event type", value: type, error: error("event_type"), maxLength: 64 }),
    inputField({
      name: "principal",
      label: "By",
      value: principal,
      error: error("principal"),
      maxLength: 512,
    }),
    inputField({
      name: "connection",
      label: "Connection id",
      value: connection,
      error: error("connection_id"),
      maxLength: 36,
    }),
    inputField({
      name: "provider",
      label: "Provider id",
      value: provider,
      error: error("provider_id"),
      maxLength: 36,
    }),
    selectField({ name: "since", label: "Since", value: since, options: sinceWords }),
  ];
  const isOpen = errors !== undefined || [principal, connection, provider, since].some((text) => text !== "");
  return html`<details class="filters"${isOpen ? " open" : ""}><summary>Filter</summary>
<form method="get" action="${path}" class="inline-fields">
${fields}
<div class="actions"><button type="submit">Show</button> <a class="button quiet" href="${path}">Clear</a></div>
</form>
</details>`;
}

function target(filter: Filter, page: string): string {
  const given = Object.entries(filter).filter(([, value]) => value !== "");
  return `${path}?${new URLSearchParams([...given, ["page", page]]).toString()}`;
}
