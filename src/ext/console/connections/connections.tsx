import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import type { GetStatusResponse } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Ask } from "../kit/forms.js";
import { consolePage, PostForm } from "../kit/page.js";
import { type Column, Empty, Go, LiveMark, pathWith, Search, Table, Tabs } from "../kit/parts.js";
import { countOf, findConnections, providerNames, statusOf } from "../kit/queries.js";
import { type PageRequest, textsOf } from "../kit/request.js";
import { states } from "../kit/words.js";
import { connectionRow, connectionsPath } from "./connection_row.js";

/** Rows cost more than all the rest of a page. */
const pageSize = 25;
/** So many are sorted as a whole; of more the order is that of their ids. */
export const maxSorted = 1_000;
/** A call looks at 500 connections, so a page finds its rows among 50 000. */
const calls = 100;

/** What the list is of, and how it is sorted; empty for all, and for trouble first. */
const filterNames = ["search", "state", "user", "provider", "sort"] as const;
type ListFilter = Readonly<Record<(typeof filterNames)[number], string>>;

export async function listPage(request: PageRequest): Promise<HttpAnswer> {
  const { query, nowMs, may } = request;
  const filter = textsOf(query, filterNames);
  const daemon = await statusOf(request);
  const { connections, next, isSorted } = await pageOf(request, filter, countOf(daemon));
  const nameOf = await providerNames(request);
  const ofProvider = filter.provider && nameOf({ providerId: filter.provider, providerName: "one provider" });
  const canSelect = may("connection.manage");
  const rows = connections.map((each) => connectionRow(each, { nameOf, nowMs }, canSelect));
  const isFirst = !query.has("after") && !query.has("from");
  const list = (
    <div id="list" data-poll="2">
      {rows.length === 0 ? noConnection(filter, isFirst, !isSorted && next !== undefined) : (
        <Table
          caption="Connections"
          class="rows connections"
          columns={columnsOf(filter, isSorted, canSelect)}
          rows={rows}
        />
      )}
    </div>
  );
  const pager = (!isFirst || next !== undefined) && (
    <nav class="actions pager" aria-label="Pages">
      {!isFirst && <Go to={pathWith(connectionsPath, filter)} text="First page" kind="quiet" />}
      {next && <Go to={pathWith(connectionsPath, { ...filter, ...next })} text="Next page" kind="quiet" rel="next" />}
      {!isSorted && <span class="soft">In the order of their ids: a list of up to {formatCount(maxSorted)} can be sorted.</span>}
    </nav>
  );
  const content = (
    <>
      {filtersOf(filter, daemon, ofProvider)}
      {canSelect ? (
        <PostForm request={request} action={connectionsPath} id="bulk">
          {list}
          <Bulk />
        </PostForm>
      ) : list}
      <div id="pager" data-poll="2">{pager}</div>
    </>
  );
  const forThese = pathWith(`${connectionsPath}/new`, { user: filter.user, provider: filter.provider });
  const actions = <><LiveMark /><Go to={forThese} text="Connect" /></>;
  const of = filter.user || ofProvider;
  const heading = of ? <>Connections of <bdi>{of}</bdi></> : "Connections";
  return consolePage(request, { title: "Connections", heading, section: connectionsPath, actions, content });
}

/** One page: of few connections sorted, of many in the order of their ids. @param total 0 for who may not know it */
async function pageOf(request: PageRequest, filter: ListFilter, total: number) {
  const after = request.query.get("after") ?? "";
  if (after === "" && total <= maxSorted) {
    const all = await findConnections(request, filter, { most: maxSorted, calls });
    if (all.next === "") {
      const from = Math.max(0, Number(request.query.get("from")) || 0);
      const next = from + pageSize < all.found.length ? { from: String(from + pageSize) } : undefined;
      const connections = sorted(all.found, filter.sort).slice(from, from + pageSize);
      return { connections, next, isSorted: true };
    }
  }
  const { found: connections, next } = await findConnections(request, filter, { most: pageSize, calls }, after);
  return { connections, next: next === "" ? undefined : { after: next }, isSorted: false };
}

const numbers = new Intl.Collator("en", { numeric: true });
/** As the heads of the table name them. */
const orders: Readonly<Record<string, (one: Connection, other: Connection) => number>> = {
  state: (one, other) => rankOf(one) - rankOf(other),
  provider: (one, other) => numbers.compare(one.providerName, other.providerName),
  user: (one, other) => numbers.compare(one.userId, other.userId),
  ends: (one, other) => endOf(one) - endOf(other),
};

function rankOf({ status, problem }: Connection): number {
  const place = states.findIndex(([, each]) => each === status);
  return problem && place > 0 ? 0.5 : place;
}

function endOf({ expiresAt }: Connection): number {
  return expiresAt ? timestampMs(expiresAt) : Number.MAX_SAFE_INTEGER;
}

/** @param sort a name of `orders`, with a minus before it for the other way; the rest is by state, provider and user */
function sorted(connections: readonly Connection[], sort: string): Connection[] {
  const way = sort.startsWith("-") ? -1 : 1;
  const compare = (name: string, one: Connection, other: Connection): number => orders[name]?.(one, other) ?? 0;
  return connections.toSorted((one, other) =>
    ["state", "provider", "user"].reduce(
      (found, name) => found || compare(name, one, other),
      way * compare(sort.replace("-", ""), one, other),
    ),
  );
}

function columnsOf(filter: ListFilter, isSorted: boolean, canSelect: boolean): Column[] {
  const column = (label: string, name: string): Column => {
    if (!isSorted) return { label };
    const isCurrent = filter.sort.replace("-", "") === name || (filter.sort === "" && name === "state");
    const isDown = filter.sort.startsWith("-");
    const sort = isCurrent && !isDown ? `-${name}` : name;
    return {
      label,
      head: <a href={pathWith(connectionsPath, { ...filter, sort })}>{label}</a>,
      ...(isCurrent && { sort: isDown ? "descending" : "ascending" }),
    };
  };
  return [
    ...(canSelect
      ? [{ label: "Select", class: "pick", head: <input type="checkbox" data-all aria-label="Select all" hidden /> }]
      : []),
    column("Provider", "provider"),
    column("User", "user"),
    column("State", "state"),
    { label: "Account" },
    { label: "Scopes" },
    column("Token ends", "ends"),
  ];
}

function filtersOf(filter: ListFilter, daemon: GetStatusResponse | undefined, provider: string) {
  const tabs = [["", undefined, "All"] as const, ...states].map(([word, status, text]) => ({
    href: pathWith(connectionsPath, { ...filter, state: word }),
    isCurrent: word === filter.state,
    text: <>{text}{daemon && <> <span class="count">{formatCount(countOf(daemon, status))}</span></>}</>,
  }));
  const kept = (["state", "user", "provider", "sort"] as const).filter((name) => filter[name] !== "");
  return (
    <>
      <Search action={connectionsPath} label="User, account, provider or id" value={filter.search}>
        {kept.map((name) => <input type="hidden" name={name} value={filter[name]} />)}
      </Search>
      {(filter.user !== "" || provider !== "") && (
        <p>
          {filter.user !== "" && provider !== "" && <>At <bdi>{provider}</bdi>. </>}
          <a href={pathWith(connectionsPath, { state: filter.state })}>Show those of all</a>
        </p>
      )}
      <div id="states" data-poll="2"><Tabs label="State" tabs={tabs} /></div>
    </>
  );
}

function noConnection(filter: ListFilter, isFirst: boolean, isMore: boolean) {
  if (isMore) return <p class="soft">None of those that were looked at fits. There are more.</p>;
  if (!isFirst || Object.values(filter).some((text) => text !== ""))
    return <p class="soft">No connection fits. <a href={connectionsPath}>Show all</a></p>;
  return (
    <Empty title="There is no connection yet." command="nexusd connect github">
      <p>A connection is one user's account at one provider. Agents ask for its token by name.</p>
      <p><Go to={`${connectionsPath}/new`} text="Connect the first one" /></p>
    </Empty>
  );
}

/** What can be done with the rows that are selected. */
function Bulk() {
  return (
    <div class="bulk actions" data-bulk>
      <span data-selected>Selected connections:</span>
      <button class="quiet small" type="submit" name="do" value="refresh">Refresh now</button>
      <Ask
        {...{ id: "revoke", class: "small", open: "Revoke…", title: "Revoke the selected connections?" }}
        {...{ yes: "Revoke them", sends: { name: "do", value: "revoke" } }}
      >
        <p>
          Their credentials are erased, their agents are notified, and the providers are asked to revoke the tokens.
          This cannot be undone.
        </p>
      </Ask>
      <span class="keys soft" hidden data-script>
        <kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> move <kbd>x</kbd> select <kbd>Enter</kbd> open
      </span>
    </div>
  );
}
