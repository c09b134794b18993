import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import { counted, formatCount } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { type Children, Monogram, type View } from "../../../server/pages/kit.js";
import { agentPath, agentText } from "../kit/agent_names.js";
import { activityOf } from "../kit/event_table.js";
import { consolePage } from "../kit/page.js";
import { Card, Chip, Empty, Go, Moment, pathWith, Search, Table, type TableRow, Tabs, utcOf } from "../kit/parts.js";
import { allProviders } from "../kit/queries.js";
import { type PageRequest, textsOf } from "../kit/request.js";
import { roleWords } from "../kit/words.js";
import { type Agent, agentsOf, isEnded, isLiveKey, isRunning } from "./callers.js";
import { HourChart } from "./hour_chart.js";
import { type Usage, usageOf } from "./usage.js";

const path = "/agents";
const ofPage = 50;

/** Every caller with what it may, what it does, and what it was refused. */
export async function agentsPage(request: PageRequest): Promise<HttpAnswer> {
  const { query, may, nowMs } = request;
  const { search, ended, page } = textsOf(query, ["search", "ended", "page"]);
  const usage = await usageOf(request);
  const all = await agentsOf(request, usage);
  const wanted = all
    .filter((agent) => isEnded(agent, nowMs) === (ended === "1"))
    .filter(({ name }) => name.includes(search));
  const first = (Math.max(1, Math.trunc(Number(page)) || 1) - 1) * ofPage;
  const shown = wanted.slice(first, first + ofPage);
  const filter = { search, ended };
  const content = (
    <>
      {await warningsOf(request)}
      {wanted.length === all.length && all.length === 0 ? undefined : tabsOf(ended)}
      {all.length > 0 && <Search action={pathWith(path, {})} label="Name" value={search} />}
      <div id="agents" data-poll="5">
        {shown.length === 0 ? emptyOf(all.length > 0) : (
          <Table caption="Agents" columns={["Agent", "Access", "Now", "Requests, 24 h", "Refused, 24 h", "Last request"]} rows={shown.map((agent) => rowOf(request, agent))} />
        )}
      </div>
      {wanted.length > ofPage && (
        <p class="pager">
          {first > 0 && <a href={pathWith(path, { ...filter, page: String(first / ofPage) })}>Back</a>}
          <span>{formatCount(first + 1)} to {formatCount(first + shown.length)} of {formatCount(wanted.length)}</span>
          {wanted.length > first + ofPage && <a rel="next" href={pathWith(path, { ...filter, page: String(first / ofPage + 2) })}>More</a>}
        </p>
      )}
      {may("audit.read") && all.length > 0 && <Requests usage={usage} />}
    </>
  );
  return consolePage(request, { title: "Agents", section: path, content, actions: actionsOf(request) });
}

/** What is likely to be wrong in the policy file; nothing where all is well. */
export async function warningsOf({ may, call }: PageRequest) {
  if (!may("policy.read")) return undefined;
  const question = { principal: "owner", action: "token.read" };
  const { warnings } = await call(AccessService.method.explainAccess, question);
  if (warnings.length === 0) return undefined;
  return (
    <Card id="policy-title" title="Policy file">
      <ul class="tasks">{warnings.map((warning) => <li><bdi>{warning}</bdi></li>)}</ul>
    </Card>
  );
}

function actionsOf({ may }: PageRequest): View {
  if (!may("key.manage")) return undefined;
  return <><Go to="/agents/keys/new" text="New key" kind="quiet" /><Go to="/agents/grant" text="Grant access" /></>;
}

function tabsOf(ended: string) {
  const tabs = [["", "Active"], ["1", "Ended or stopped"]] as const;
  return <Tabs label="Agents" tabs={tabs.map(([word, text]) => ({ href: pathWith(path, { ended: word }), text, isCurrent: ended === word }))} />;
}

function emptyOf(isFiltered: boolean) {
  if (isFiltered) return <p>No agent matches.</p>;
  return (
    <Empty title="No agent has called yet" command="nexusd grant claude github --until 8h">
      <p>Grant an agent access to a provider. You then see here what it requests, what a rule refuses, and can stop it.</p>
    </Empty>
  );
}

function rowOf({ nowMs }: PageRequest, agent: Agent): TableRow {
  const { name, use, lastMs, sessions, streams, stop } = agent;
  const running = [sessions.length > 0 && counted(sessions.length, "session"), streams.length > 0 && counted(streams.length, "stream")];
  return {
    id: `agent-${name.replaceAll(/[^\w-]/g, "_")}`,
    cells: [
      <span class="named"><Monogram name={agentText(name)} /><span><a href={agentPath(name)}><bdi>{agentText(name)}</bdi></a>{stop && <> <Chip tone="bad">Stopped</Chip></>}</span></span>,
      accessOf(agent, nowMs),
      isRunning(agent) === 0 ? "" : <Chip tone="good">{running.filter(Boolean).join(", ")}</Chip>,
      use.requests === 0 ? "" : formatCount(use.requests),
      use.refused === 0 ? "" : <a href={activityOf(name, { show: "refused" })}>{formatCount(use.refused)}</a>,
      lastMs === 0 ? "" : <Moment time={timestampFromMs(lastMs)} nowMs={nowMs} />,
    ],
  };
}

/** In a few words: the providers of its grants, and the roles of its keys. */
function accessOf({ name, keys }: Agent, nowMs: number): View {
  const live = keys.filter((key) => isLiveKey(key, nowMs));
  const providers = live.flatMap((key) => key.restriction?.providers ?? []);
  const users = live.flatMap((key) => key.restriction?.userIds ?? []);
  const roles = live.map(({ role }) => role).filter((role) => role !== Role.AGENT);
  const words = [
    ...new Set(roles.map((role) => roleWords[role])),
    ...(providers.length > 0 ? [shortList(providers)] : []),
    ...(users.length > 0 ? [`of ${shortList(users)}`] : []),
  ];
  if (live.length === 0) return <span class="soft">{name === "owner" ? "Everything" : name === "admin" ? "Admin" : ""}</span>;
  return <bdi>{words.join(" ")}</bdi>;
}

function shortList(all: readonly string[]): string {
  const names = [...new Set(all)];
  const more = names.length - 3;
  return more > 0 ? `${names.slice(0, 3).join(", ")} and ${more} more` : names.join(", ");
}

/** Of all agents, in 24 hours. */
export function Requests({ usage, children }: Partial<Children> & { readonly usage: Usage }) {
  const counts = new Map<number, Map<string, number>>();
  for (const [agent, { hours }] of usage.byAgent)
    for (const [hour, ofHour] of hours) {
      const sum = [...ofHour.values()].reduce((one, other) => one + other, 0);
      const own = counts.get(hour) ?? new Map<string, number>();
      counts.set(hour, own.set(agent, sum));
    }
  return (
    <Card id="requests-title" title="Requests by agent">
      <HourChart title="Requests by agent" sinceMs={usage.sinceMs} counts={counts} nameOf={agentText} />
      {children}
      {partOf(usage)}
    </Card>
  );
}

/** What the counts of a page stand for. */
export function partOf({ readSinceMs }: Usage): View {
  return (
    <p class="soft">
      API requests that nexusd sent with a credential, and tokens that it handed out, from the audit log.
      {readSinceMs !== undefined && <> There are too many for one page: they are counted since <b>{utcOf(readSinceMs)}</b>.</>}
    </p>
  );
}

/** What providers are called, by their ids. */
export async function providerTexts(request: PageRequest): Promise<ReadonlyMap<string, string>> {
  return new Map((await allProviders(request)).map(({ id, name }) => [id, name]));
}
