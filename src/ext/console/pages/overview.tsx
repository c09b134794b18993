import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { type Connection, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { DaemonState, type GetStatusResponse, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Monogram, type View } from "../../../server/pages/kit.js";
import { Requests } from "../agents/agents.js";
import { type Usage, usageOf } from "../agents/usage.js";
import { Line, waitingFor } from "../approvals/held.js";
import { readConnection } from "../connections/connection.js";
import { connectionsPath } from "../connections/connection_row.js";
import { activityOf } from "../kit/event_table.js";
import { consolePage, PostForm } from "../kit/page.js";
import { Card, Go, Moment, pathWith } from "../kit/parts.js";
import { countOf, findConnections, providerNames } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";
import { adviceOf, isOfClient, states } from "../kit/words.js";
import { approvalsPath } from "../sessions/console_url.js";
import { RefreshChart } from "./charts.js";

const maxFailing = 10;
/** Connections in trouble that are named here; the others are a link away. They may be far apart, and the page must not wait for them. */
const ofTrouble = { most: 8, calls: 2 };

/** Whether everything is well, and what needs a person. */
export async function overviewPage(request: PageRequest): Promise<HttpAnswer> {
  const [status, activity] = await Promise.all([
    request.call(StatusService.method.getStatus, { maxEntries: maxFailing }),
    request.call(StatusService.method.getActivity, {}),
  ]);
  const total = countOf(status);
  const asks = request.sections.some(({ path }) => path === approvalsPath);
  const held = asks ? await waitingFor(request) : [];
  const tasks = [...held.map((each) => heldTask(each, request.nowMs)), ...(await tasksOf(request, status)), ...failedOf(status)];
  const unready = status.checks.filter(({ passing }) => !passing).length;
  const troubled = countOf(status, ConnectionStatus.ATTENTION) + countOf(status, ConnectionStatus.FAILED);
  const things = held.length + unready + status.failingProviderCount + troubled + status.endingTokens.length;
  const content = (
    <div id="overview" data-poll="5">
      {total === 0 ? <FirstSteps /> : headlineOf(status, tasks.length)}
      {tasks.length > 0 && (
        <Card id="tasks-title" title={`${counted(things, "thing")} ${things === 1 ? "needs" : "need"} you`}>
          <ul class="tasks">{tasks.map((task) => <li>{task}</li>)}</ul>
        </Card>
      )}
      {total > 0 && (
        <>
          {tilesOf(status)}
          {request.may("audit.read") && requestsOf(await usageOf(request))}
          <Card id="refreshes-title" title="Refreshes of the last 24 hours">
            <RefreshChart activity={activity} />
          </Card>
        </>
      )}
      <Card id="daemon-title" title="The daemon">{daemonFacts(status, request.nowMs)}</Card>
    </div>
  );
  const actions = request.may("connection.request") && <Go to={`${connectionsPath}/new`} text="Connect" />;
  return consolePage(request, { title: "Overview", section: "/overview", actions, content });
}

interface Task {
  /** Whose it is: of the provider. */
  readonly name: string;
  readonly what: View;
  readonly note: View;
  /** What leads on. */
  readonly action?: View;
}

function taskOf({ name, what, note, action }: Task): View {
  return (
    <>
      <Monogram name={name} />
      <div class="grow"><p>{what}</p><p class="soft">{note}</p></div>
      {action}
    </>
  );
}

function heldTask(held: HeldRequest, nowMs: number): View {
  const { id, caller, provider, userId, expiresAt } = held;
  return taskOf({
    name: provider,
    what: <><bdi>{caller}</bdi> waits to send a request as <bdi>{userId}</bdi> at <bdi>{provider}</bdi>.</>,
    note: <><Line held={held} />, expires <Moment time={expiresAt} nowMs={nowMs} /></>,
    action: <Go to={`${approvalsPath}/${id}`} text="Review" kind="small" />,
  });
}

/** The most urgent first. */
async function tasksOf(request: PageRequest, status: GetStatusResponse): Promise<View[]> {
  const checks = status.checks
    .filter(({ passing }) => !passing)
    .map(({ name, message }) => <p><b>{name}</b>: <bdi>{message}</bdi></p>);
  const failing = status.failingProviders.map((provider) => {
    const { providerId, providerName: name, message, consents, since, connections } = provider;
    return taskOf({
      name,
      what: <><a href={`/providers/${providerId}`}><bdi>{name}</bdi></a>: {consents && "Consents fail. "}{message}</>,
      note: <>First failure <Moment time={since} nowMs={request.nowMs} />, {counted(Number(connections), "connection")}.</>,
    });
  });
  const more = status.failingProviderCount - status.failingProviders.length;
  const others = more > 0 ? [<p>And {counted(more, "more failing provider")}.</p>] : [];
  return [...checks, ...failing, ...others, ...(await troubledOf(request, status))];
}

/** Connections that need attention, and those whose token ends within a day and cannot be refreshed. */
async function troubledOf(request: PageRequest, status: GetStatusResponse): Promise<View[]> {
  const count = countOf(status, ConnectionStatus.ATTENTION);
  const { found } = count === 0 ? { found: [] } : await findConnections(request, { state: "attention" }, ofTrouble);
  const listed = found.slice(0, ofTrouble.most);
  const ending = await Promise.all(status.endingTokens.map(({ connectionId }) => readConnection(request, connectionId)));
  const nameOf = await providerNames(request);
  const tasks = [...listed, ...ending].map((connection) => connectionTask(request, connection, nameOf(connection)));
  const more = count - listed.length;
  if (more <= 0) return tasks;
  const all = listed.length === 0 ? counted(count, "connection") : `${formatCount(more)} more`;
  const link = <a href={pathWith(connectionsPath, { state: "attention" })}>{all}</a>;
  return [...tasks, <p>{link} {count === 1 ? "needs" : "need"} attention.</p>];
}

function failedOf(status: GetStatusResponse): View[] {
  const count = countOf(status, ConnectionStatus.FAILED);
  if (count === 0) return [];
  const link = <a href={pathWith(connectionsPath, { state: "failed" })}>{counted(count, "connection")}</a>;
  return [<p>The consent of {link} failed. Ask for it again, or delete {count === 1 ? "it" : "them"}.</p>];
}

function connectionTask(request: PageRequest, connection: Connection, name: string): View {
  const { id, userId, problem, providerId, expiresAt } = connection;
  const path = `${connectionsPath}/${id}`;
  const moment = (time: typeof expiresAt) => <Moment time={time} nowMs={request.nowMs} none="" />;
  const consent = request.may("connection.request") && (
    <PostForm request={request} action={`${path}/consent`}>
      <button class="quiet small" type="submit">Consent again</button>
    </PostForm>
  );
  return taskOf({
    name,
    what: (
      <>
        <a href={path}><bdi>{userId}</bdi> at <bdi>{name}</bdi></a>:{" "}
        {problem ? adviceOf(problem) : "Ask for consent again."}
      </>
    ),
    note: problem ? (
      <><bdi>{problem.message}</bdi> {moment(problem.since)}</>
    ) : <>The token ends {moment(expiresAt)}, and cannot be refreshed.</>,
    action: isOfClient(problem) && request.may("provider.manage") ? (
      <Go to={`/providers/${providerId}/client`} text="Change the client" kind="quiet small" />
    ) : consent,
  });
}

const unreadyWords: Readonly<Partial<Record<DaemonState, string>>> = {
  [DaemonState.UNSPECIFIED]: "The state of the daemon is not known",
  [DaemonState.NOT_READY]: "The daemon is not ready",
  [DaemonState.DRAINING]: "The daemon is stopping",
};

/** In one line; nothing where the list of tasks says it. */
function headlineOf(status: GetStatusResponse, tasks: number): View {
  const trouble = unreadyWords[status.state];
  if (trouble === undefined && tasks > 0) return undefined;
  const active = countOf(status, ConnectionStatus.ACTIVE);
  return (
    <p class={`headline card ${trouble ? "bad" : "good"}`}>
      <b>{trouble ?? "All is well"}</b>{" "}
      <span class="soft">{counted(active, "connection")} {active === 1 ? "is" : "are"} kept alive.</span>
    </p>
  );
}

/** What a newcomer does. */
function FirstSteps() {
  return (
    <section class="card empty">
      <h2>Three steps to the first token</h2>
      <ol>
        <li>
          <a href="/providers/add">Add a provider</a> from the catalogue. In a terminal:{" "}
          <code>nexusd provider add github</code>
        </li>
        <li>
          <a href={`${connectionsPath}/new`}>Connect an account</a>: the user opens a link and agrees. In a
          terminal: <code>nexusd connect github</code>
        </li>
        <li>Use it from your agent, with a client library or <code>nexusd token github</code></li>
      </ol>
    </section>
  );
}

/** What agents did; nothing where none did anything. */
function requestsOf(usage: Usage): View {
  const uses = [...usage.byAgent.values()];
  const refused = uses.reduce((sum, each) => sum + each.refused, 0);
  if (refused === 0 && uses.every(({ requests }) => requests === 0)) return undefined;
  return (
    <Requests usage={usage}>
      <p>{refused === 0 ? "None was refused." : <a href={activityOf("", { show: "refused" })}>{formatCount(refused)} refused</a>}</p>
    </Requests>
  );
}

/** Those of each state that has any. */
function tilesOf(status: GetStatusResponse): View {
  return (
    <section aria-labelledby="connections-title">
      <h2 id="connections-title">Connections</h2>
      <ul class="tiles">
        {states.map(([word, state, text, meaning, tone]) => {
          const count = countOf(status, state);
          return count > 0 && (
            <li>
              <a class={tone} title={meaning} href={pathWith(connectionsPath, { state: word })}>
                <b>{formatCount(count)}</b> {text}
              </a>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function daemonFacts(status: GetStatusResponse, nowMs: number): View {
  const { refreshesRunning: running, refreshesWaiting: waiting, refreshLag, uptime } = status;
  const lagMs = refreshLag ? durationMs(refreshLag) : 0;
  const late = lagMs >= 1_000 ? `, the oldest late by ${formatDuration(lagMs)}` : "";
  return (
    <Facts
      of={[
        ["Version", status.version],
        ["Started", uptime && <Moment time={status.startedAt} nowMs={nowMs} />],
        ["Refreshes", `${formatCount(running)} under way, ${formatCount(waiting)} waiting${late}`],
        ["Subscribers", <a href="/agents">{counted(status.subscribers, "open stream")}</a>],
        ["Store", formatBytes(Number(status.storeBytes))],
      ]}
    />
  );
}
