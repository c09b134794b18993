import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { connectionTable } from "./connection_table.js";
import { stateFilters } from "./connection_words.js";
import { providerNames } from "./provider_names.js";

export const connectionsPath = "/connections";

/** Of the stream of a list: milliseconds since when a connection, or its problem, is new to the list; empty where the list holds all that fit. */
export const sinceField = "since";
/** Rows cost more than all the rest of a page. */
const pageSize = 25;
/** A call looks at 500 connections, so a page finds its rows among 50 000. */
const maxCalls = 100;
/** What remains to be found is asked for in no smaller pieces. */
const minAsked = 20;

/** What the list is of. */
export interface Filter {
  readonly search: string;
  /** Word of `stateFilters`; empty for all. */
  readonly state: string;
}

/** Where the filter leads, from the beginning or from a page on. */
function pathOf({ search, state }: Filter, after = ""): string {
  const query = new URLSearchParams(
    Object.entries({ search, state, after }).filter(([, value]) => value !== ""),
  );
  return query.size === 0 ? connectionsPath : `${connectionsPath}?${query}`;
}

export async function listPage(visit: ConsoleVisit): Promise<Answer> {
  const { query, nowMs } = visit;
  const filter = filterOf(query);
  const after = query.get("after") ?? "";
  const { connections, nextPageToken } = await rowsOf(visit, filter, after);
  const nameOf = await providerNames(visit, connections);
  const live = new URLSearchParams(connections.map(({ id }): [string, string] => ["id", id]));
  // What is new comes to the first page, and everything that fits where that is the only one.
  if (after === "") for (const [name, value] of Object.entries(filter)) live.set(name, value);
  if (after === "") live.set(sinceField, nextPageToken === "" ? "" : String(nowMs));
  const isEmpty = connections.length === 0;
  const table = html`<div data-live="${connectionsPath}/live?${live.toString()}">
<div data-empty${isEmpty ? undefined : html` hidden`}>${emptyText(filter, after, nextPageToken)}</div>
${connectionTable(connections, { nameOf, nowMs }, isEmpty)}
</div>`;
  const content = html`<p class="lead actions"><a class="button" href="${connectionsPath}/new">Connect</a> <span class="live" data-live-state></span></p>
${filterForm(filter, await countsOf(visit))}
${table}
${pager(filter, after, nextPageToken)}
<p class="hidden" role="status" data-announce></p>`;
  return consolePage(visit, { title: "Connections", room: connectionsPath, content });
}

export function filterOf(query: URLSearchParams): Filter {
  return { search: (query.get("search") ?? "").trim(), state: query.get("state") ?? "" };
}

/** A page that is full unless few are left, or few of very many fit the filter. */
export async function rowsOf(visit: ConsoleVisit, { search, state }: Filter, after: string) {
  const status = statusOf(state);
  const connections: Connection[] = [];
  let pageToken = after;
  for (let calls = 0; calls < maxCalls; calls++) {
    const asked = Math.max(minAsked, pageSize - connections.length);
    const request = { pageSize: asked, pageToken, status, search };
    const page = await visit.call(ConnectionService.method.listConnections, request);
    connections.push(...page.connections);
    pageToken = page.nextPageToken;
    if (pageToken === "" || connections.length >= pageSize) break;
    // Others' calls are not held up by a search.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { connections, nextPageToken: pageToken };
}

/** `UNSPECIFIED` for every state. */
export function statusOf(state: string): ConnectionStatus {
  return stateFilters.find(([word]) => word === state)?.[2] ?? ConnectionStatus.UNSPECIFIED;
}

type Counts = ReadonlyMap<ConnectionStatus, number>;

/** Of all connections; undefined for who may not see all. */
async function countsOf(visit: ConsoleVisit): Promise<Counts | undefined> {
  if (!visit.may("status.read")) return undefined;
  const { connections } = await visit.call(StatusService.method.getStatus, { maxEntries: 1 });
  return new Map(connections.map(({ status, count }) => [status, Number(count)]));
}

function filterForm(filter: Filter, counts: Counts | undefined): Html {
  const all = counts && [...counts.values()].reduce((sum, count) => sum + count, 0);
  const links = [
    ["", "All", all] as const,
    ...stateFilters.map(([word, text, status]) => [word, text, counts?.get(status)] as const),
  ].map(([word, text, count]) => {
    const current = word === filter.state ? html` aria-current="true"` : undefined;
    const number = count === undefined ? undefined : html` <span class="count">${formatCount(count)}</span>`;
    return html`<li><a href="${pathOf({ ...filter, state: word })}"${current}>${text}${number}</a></li>`;
  });
  const state =
    filter.state === "" ? undefined : html`<input type="hidden" name="state" value="${filter.state}">`;
  return html`<form class="search" role="search" method="get" action="${connectionsPath}">
<label class="hidden" for="search">Search by user, account, provider or id</label>
<input id="search" type="search" name="search" maxlength="128" value="${filter.search}" placeholder="User, account, provider or id">
${state}
<button class="quiet" type="submit">Search</button>
</form>
<nav class="tabs" aria-label="State" data-counts="${connectionsPath}"><ul>
${links}
</ul></nav>`;
}

function emptyText({ search, state }: Filter, after: string, nextPageToken: string): Html {
  if (nextPageToken !== "")
    return html`<p class="soft">None of those that were looked at fits. There are more.</p>`;
  if (search === "" && state === "" && after === "")
    return html`<p class="soft">There is no connection yet. <a href="${connectionsPath}/new">Connect the first one.</a></p>`;
  return html`<p class="soft">No connection fits. <a href="${connectionsPath}">Show all</a></p>`;
}

function pager(filter: Filter, after: string, nextPageToken: string): Html | undefined {
  if (after === "" && nextPageToken === "") return undefined;
  const first =
    after === "" ? undefined : html`<a class="button quiet" href="${pathOf(filter)}">First page</a>`;
  const next =
    nextPageToken === ""
      ? undefined
      : html`<a class="button quiet" rel="next" href="${pathOf(filter, nextPageToken)}">Next page</a>`;
  return html`<nav class="actions pager" aria-label="Pages">${first} ${next}</nav>`;
}
