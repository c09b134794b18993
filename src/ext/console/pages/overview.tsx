import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { DaemonState, type GetStatusResponse, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Card, Facts, Go, Moment, pathWith } from "../../../server/views/parts.js";
import { type Children, Monogram, type View } from "../../../server/views/view.js";
import { connectionsPath } from "../connections/connection_row.js";
import { countOf, findConnections } from "../connections/connections.js";
import { providerNames } from "../kit/names.js";
import { consolePage, PostForm } from "../kit/page.js";
import type { PageRequest } from "../kit/request.js";
import { adviceOf, isOfClient, states } from "../kit/words.js";
import { approvalsPath } from "../sessions/console_url.js";
import { Line, waitingFor } from "./approvals.js";
import { RefreshChart } from "./charts.js";

const maxFailing = 10;
/** Of the connections that need attention, those named here; the others are a link away. */
const maxTroubled = 8;
/** Of very many connections those in trouble may be far apart: a call looks at 500, and the page must not wait for more. */
const maxCalls = 2;

/** Whether everything is well, and what needs a person. */
export async function overviewPage(request: PageRequest): Promise<Answer> {
  const [status, activity] = await Promise.all([
    request.call(StatusService.method.getStatus, { maxEntries: maxFailing }),
    request.call(StatusService.method.getActivity, {}),
  ]);
  const total = countOf(status);
  const asks = request.sections.some(({ path }) => path === approvalsPath);
  const held = asks ? await waitingFor(request) : [];
  const tasks = [...held.map((each) => <HeldTask held={each} />), ...(await tasksOf(request, status))];
  const unready = status.checks.filter(({ passing }) => !passing).length;
  const attention = countOf(status, ConnectionStatus.ATTENTION);
  const things = held.length + unready + status.failingProviderCount + attention + status.endingTokens.length;
  const content = (
    <div id="overview" data-poll="5">
      {total === 0 ? <FirstSteps /> : <Headline status={status} tasks={things} />}
      {tasks.length > 0 && (
        <Card id="tasks-title" title="Needs you">
          <ul class="tasks">{tasks.map((task) => <li>{task}</li>)}</ul>
        </Card>
      )}
      {total > 0 && (
        <>
          <Tiles status={status} />
          <Card id="refreshes-title" title="Refreshes of the last 24 hours">
            <RefreshChart activity={activity} />
          </Card>
        </>
      )}
      <Card id="daemon-title" title="The daemon">
        <DaemonFacts status={status} nowMs={request.nowMs} />
      </Card>
    </div>
  );
  const actions = request.may("connection.request") && <Go to={`${connectionsPath}/new`} text="Connect" />;
  return consolePage(request, { title: "Overview", section: "/overview", actions, content });
}

/** One thing to do: whose it is, what it is, and the button that leads on. */
function Task(props: Children & { readonly name: string; readonly note: View; readonly action?: View }) {
  const { name, note, action, children } = props;
  return (
    <>
      <Monogram name={name} />
      <div class="grow"><p>{children}</p><p class="soft">{note}</p></div>
      {action}
    </>
  );
}

function HeldTask({ held }: { readonly held: HeldRequest }) {
  const { id, caller, provider, userId } = held;
  const action = <Go to={`${approvalsPath}/${id}`} text="Review" kind="small" />;
  return (
    <Task name={provider} note={<Line held={held} />} action={action}>
      <bdi>{caller}</bdi> waits to send a request as <bdi>{userId}</bdi> at <bdi>{provider}</bdi>.
    </Task>
  );
}

/** The most urgent first. */
async function tasksOf(request: PageRequest, status: GetStatusResponse): Promise<View[]> {
  const { nowMs } = request;
  const checks = status.checks
    .filter(({ passing }) => !passing)
    .map(({ name, message }) => <p><b>{name}</b>: <bdi>{message}</bdi></p>);
  const failing = status.failingProviders.map((provider) => {
    const { providerId, providerName, message, consents, since, connections } = provider;
    const count = counted(Number(connections), "connection");
    return (
      <Task name={providerName} note={<>Since <Moment time={since} nowMs={nowMs} />, {count}.</>}>
        <a href={`/providers/${providerId}`}><bdi>{providerName}</bdi></a>: {consents && "Consents fail. "}
        {message}
      </Task>
    );
  });
  const moreFailing = status.failingProviderCount - status.failingProviders.length;
  return [
    ...checks,
    ...failing,
    ...(moreFailing > 0 ? [<p>And {counted(moreFailing, "more failing provider")}.</p>] : []),
    ...(await troubledOf(request, status)),
  ];
}

/** Connections that need attention, and those whose token ends within a day and cannot be refreshed. */
async function troubledOf(request: PageRequest, status: GetStatusResponse): Promise<View[]> {
  const count = countOf(status, ConnectionStatus.ATTENTION);
  const bounds = { most: maxTroubled, calls: maxCalls };
  const { connections } = count === 0 ? { connections: [] } : await findConnections(request, { state: "attention" }, "", bounds);
  const shown = connections.slice(0, maxTroubled);
  const ending = await Promise.all(
    status.endingTokens.map(({ connectionId }) => request.call(ConnectionService.method.getConnection, { connectionId })),
  );
  const nameOf = await providerNames(request);
  const more = count - shown.length;
  const all = shown.length === 0 ? counted(count, "connection") : `${formatCount(more)} more`;
  return [
    ...[...shown, ...ending.flatMap(({ connection }) => connection ?? [])].map((connection) => (
      <TroubledConnection request={request} connection={connection} name={nameOf(connection)} />
    )),
    ...(more > 0
      ? [<p><a href={pathWith(connectionsPath, { state: "attention" })}>{all}</a> {count === 1 ? "needs" : "need"} attention.</p>]
      : []),
  ];
}

function TroubledConnection(props: {
  readonly request: PageRequest;
  readonly connection: Connection;
  readonly name: string;
}) {
  const { request, connection, name } = props;
  const { id, userId, problem, providerId, expiresAt } = connection;
  const path = `${connectionsPath}/${id}`;
  const action =
    isOfClient(problem) && request.may("provider.manage") ? (
      <Go to={`/providers/${providerId}/client`} text="Change the client" kind="quiet small" />
    ) : (
      request.may("connection.request") && (
        <PostForm request={request} action={`${path}/consent`}>
          <button class="quiet small" type="submit">Consent again</button>
        </PostForm>
      )
    );
  const since = (time: typeof expiresAt) => <Moment time={time} nowMs={request.nowMs} none="" />;
  const note = problem ? (
    <><bdi>{problem.message}</bdi> {since(problem.since)}</>
  ) : <>The token ends {since(expiresAt)}, and cannot be refreshed.</>;
  return (
    <Task name={name} note={note} action={action}>
      <a href={path}><bdi>{userId}</bdi> at <bdi>{name}</bdi></a>:{" "}
      {problem ? adviceOf(problem) : "Ask for consent again."}
    </Task>
  );
}

const unreadyWords: Readonly<Partial<Record<DaemonState, string>>> = {
  [DaemonState.UNSPECIFIED]: "The state of the daemon is not known",
  [DaemonState.NOT_READY]: "The daemon is not ready",
  [DaemonState.DRAINING]: "The daemon is stopping",
};

function Headline({ status, tasks }: { readonly status: GetStatusResponse; readonly tasks: number }) {
  const trouble = unreadyWords[status.state];
  const isWell = trouble === undefined && tasks === 0;
  const text =
    trouble ?? (isWell ? "All is well" : `${counted(tasks, "thing")} ${tasks === 1 ? "needs" : "need"} you`);
  const active = countOf(status, ConnectionStatus.ACTIVE);
  return (
    <p class={`headline card ${trouble ? "bad" : isWell ? "good" : "warn"}`}>
      <b>{text}</b>{" "}
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

function Tiles({ status }: { readonly status: GetStatusResponse }) {
  return (
    <section aria-labelledby="connections-title">
      <h2 id="connections-title">Connections</h2>
      <ul class="tiles">
        {states.map(([word, state, text, meaning, tone]) => {
          const count = countOf(status, state);
          return (
            <li>
              <a class={count === 0 ? "idle" : tone} title={meaning} href={pathWith(connectionsPath, { state: word })}>
                <b>{formatCount(count)}</b> {text}
              </a>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function DaemonFacts({ status, nowMs }: { readonly status: GetStatusResponse; readonly nowMs: number }) {
  const { refreshesRunning: running, refreshesWaiting: waiting, refreshLag, uptime } = status;
  const lagMs = refreshLag ? durationMs(refreshLag) : 0;
  const late = lagMs >= 1_000 ? `, the oldest late by ${formatDuration(lagMs)}` : "";
  return (
    <Facts
      of={[
        ["Version", status.version],
        ["Started", uptime && <Moment time={status.startedAt} nowMs={nowMs} />],
        ["Refreshes", `${formatCount(running)} under way, ${formatCount(waiting)} waiting${late}`],
        ["Subscribers", <a href="/access#streams">{counted(status.subscribers, "open stream")}</a>],
        ["Store", formatBytes(Number(status.storeBytes))],
      ]}
    />
  );
}
