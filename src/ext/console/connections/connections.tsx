import {
  type Connection,
  ConnectionService,
  type ConnectionStatus,
} from "../../../gen/nexus/v1/connection_pb.js";
import { StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Go, pathWith, Search, Tabs } from "../../../server/views/parts.js";
import { providerNames } from "../kit/names.js";
import { consolePage, PostForm } from "../kit/page.js";
import type { PageRequest } from "../kit/request.js";
import { states, statusOf } from "../kit/words.js";
import { ConnectionTable, connectionsPath } from "./connection_row.js";

/** Of the stream of a list: milliseconds since when a connection, or its problem, is new to the list; empty where the list holds all that fit. */
export const sinceField = "since";
/** Rows cost more than all the rest of a page. */
const pageSize = 25;
/** A call looks at 500 connections, so a page finds its rows among 50 000. */
const maxCalls = 100;
/** What remains to be found is asked for in no smaller pieces. */
const minAsked = 20;

/** What the list is of; empty for all. */
export interface Filter {
  readonly search: string;
  /** Word of `states`. */
  readonly state: string;
  readonly user: string;
  /** An id. */
  readonly provider: string;
}

export function filterOf(query: URLSearchParams): Filter {
  const text = (name: string): string => (query.get(name) ?? "").trim();
  return { search: text("search"), state: text("state"), user: text("user"), provider: text("provider") };
}

export async function listPage(request: PageRequest): Promise<Answer> {
  const { query, nowMs } = request;
  const filter = filterOf(query);
  const after = query.get("after") ?? "";
  const { connections, nextPageToken } = await findConnections(request, filter, after);
  const nameOf = await providerNames(request, connections);
  const live = new URLSearchParams(connections.map(({ id }): [string, string] => ["id", id]));
  // What is new comes to the first page, and everything that fits where that is the only one.
  if (after === "") for (const [name, value] of Object.entries(filter)) live.set(name, value);
  if (after === "") live.set(sinceField, nextPageToken === "" ? "" : String(nowMs));
  const canSelect = request.may("connection.manage");
  const table = (
    <div data-live={`${connectionsPath}/live?${live}`}>
      <div data-empty hidden={connections.length > 0}>
        <Empty filter={filter} after={after} isMore={nextPageToken !== ""} />
      </div>
      <ConnectionTable {...{ connections, nameOf, nowMs, canSelect }} />
    </div>
  );
  const content = (
    <>
      <Filters filter={filter} counts={await countsOf(request)} />
      {canSelect ? (
        <PostForm request={request} action={`${connectionsPath}/bulk`} id="bulk">
          {table}
          {connections.length > 0 && <Bulk />}
        </PostForm>
      ) : (
        table
      )}
      <Pager {...{ filter, after, nextPageToken }} />
      <p class="hidden" role="status" data-announce></p>
    </>
  );
  const actions = (
    <>
      <span class="live" data-live-state></span>
      <Go to={`${connectionsPath}/new`} text="Connect" />
    </>
  );
  return consolePage(request, { title: "Connections", section: connectionsPath, actions, content });
}

/** A page that is full unless few are left, or few of very many fit the filter. */
export async function findConnections(
  { call }: PageRequest,
  { search, state, user: userId, provider: providerId }: Filter,
  after: string,
  { most = pageSize, calls = maxCalls } = {},
) {
  const connections: Connection[] = [];
  let pageToken = after;
  for (let made = 0; made < calls; made++) {
    const asked = Math.max(minAsked, most - connections.length);
    const filter = { status: statusOf(state), search, userId, providerId };
    const page = await call(ConnectionService.method.listConnections, {
      ...filter,
      pageSize: asked,
      pageToken,
    });
    connections.push(...page.connections);
    pageToken = page.nextPageToken;
    if (pageToken === "" || connections.length >= most) break;
    // Others' calls are not held up by a search.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { connections, nextPageToken: pageToken };
}

type Counts = ReadonlyMap<ConnectionStatus, number>;

/** Of all connections; undefined for who may not see all. */
async function countsOf({ may, call }: PageRequest): Promise<Counts | undefined> {
  if (!may("status.read")) return undefined;
  const { connections } = await call(StatusService.method.getStatus, { maxEntries: 1 });
  return new Map(connections.map(({ status, count }) => [status, Number(count)]));
}

function Filters({ filter, counts }: { readonly filter: Filter; readonly counts: Counts | undefined }) {
  const all = counts && [...counts.values()].reduce((sum, count) => sum + count, 0);
  const tabs = [
    ["", "All", all] as const,
    ...states.map(([word, status, text]) => [word, text, counts?.get(status)] as const),
  ].map(([word, text, count]) => ({
    href: pathWith(connectionsPath, { ...filter, state: word }),
    isCurrent: word === filter.state,
    text: <>{text}{count !== undefined && <> <span class="count">{formatCount(count)}</span></>}</>,
  }));
  const kept = (["state", "user", "provider"] as const).filter((name) => filter[name] !== "");
  const narrowed = filter.user !== "" || filter.provider !== "";
  return (
    <>
      <Search action={connectionsPath} label="User, account, provider or id" value={filter.search}>
        {kept.map((name) => <input type="hidden" name={name} value={filter[name]} />)}
      </Search>
      {narrowed && (
        <p>
          {filter.user === "" ? (
            "Only connections of one provider."
          ) : <>Only connections of user <b><bdi>{filter.user}</bdi></b>.</>}{" "}
          <a href={pathWith(connectionsPath, { state: filter.state })}>Show those of all</a>
        </p>
      )}
      <Tabs label="State" tabs={tabs} counts={connectionsPath} />
    </>
  );
}

function Empty({
  filter,
  after,
  isMore,
}: {
  readonly filter: Filter;
  readonly after: string;
  readonly isMore: boolean;
}) {
  if (isMore) return <p class="soft">None of those that were looked at fits. There are more.</p>;
  const isAll = after === "" && Object.values(filter).every((text) => text === "");
  if (!isAll)
    return <p class="soft">No connection fits. <a href={connectionsPath}>Show all</a></p>;
  return (
    <div class="card empty">
      <h2>There is no connection yet.</h2>
      <p>A connection is one user's account at one provider. Agents ask for its token by name.</p>
      <p><Go to={`${connectionsPath}/new`} text="Connect the first one" /></p>
      <p class="soft">In a terminal: <code>nexusd connect github</code></p>
    </div>
  );
}

/** What can be done with the rows that are selected. */
function Bulk() {
  return (
    <div class="bulk actions" data-bulk>
      <span data-selected>Selected connections:</span>
      <button class="quiet small" type="submit" name="do" value="refresh">Refresh now</button>
      <button class="danger small" type="submit" name="do" value="revoke">Revoke…</button>
      <span class="keys soft" hidden data-script>
        <kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> move <kbd>x</kbd> select <kbd>Enter</kbd> open
      </span>
    </div>
  );
}

function Pager(props: { readonly filter: Filter; readonly after: string; readonly nextPageToken: string }) {
  const { filter, after, nextPageToken } = props;
  if (after === "" && nextPageToken === "") return null;
  return (
    <nav class="actions pager" aria-label="Pages">
      {after !== "" && <Go to={pathWith(connectionsPath, { ...filter })} text="First page" kind="quiet" />}
      {nextPageToken !== "" && (
        <a
          class="button quiet"
          rel="next"
          href={pathWith(connectionsPath, { ...filter, after: nextPageToken })}
        >
          Next page
        </a>
      )}
    </nav>
  );
}
