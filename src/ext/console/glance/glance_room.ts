import { durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { DaemonState, type GetStatusResponse, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleRoom, ConsoleVisit } from "../frame/console_visit.js";
import { momentOf } from "../frame/moments.js";
import { expiryList } from "./expiry_list.js";
import { refreshChart } from "./refresh_chart.js";

const path = "/glance";

export const glanceRoom: ConsoleRoom = {
  title: "At a glance",
  path,
  action: "status.read",
  pages: { [path]: glancePage },
};

async function glancePage(visit: ConsoleVisit): Promise<Answer> {
  const [status, activity] = await Promise.all([
    visit.call(StatusService.method.getStatus, { maxEntries: 10 }),
    visit.call(StatusService.method.getActivity, {}),
  ]);
  const content = html`<div id="glance" data-poll="5">
${stateOf(status, visit.nowMs)}
<section aria-labelledby="connections-title"><h2 id="connections-title">Connections</h2>
${countsOf(status)}</section>
${failingOf(status, visit.nowMs)}
<section class="card" aria-labelledby="refreshes-title"><h2 id="refreshes-title">Refreshes of the last 24 hours</h2>
${refreshChart(activity)}</section>
<section class="card" aria-labelledby="ends-title"><h2 id="ends-title">When tokens end</h2>
${expiryList(activity)}</section>
</div>`;
  return consolePage(visit, { title: "At a glance", room: path, content });
}

const stateWords: Readonly<Record<DaemonState, readonly [word: string, mark: string]>> = {
  [DaemonState.UNSPECIFIED]: ["Unknown", "bad"],
  [DaemonState.READY]: ["Ready", "good"],
  [DaemonState.ATTENTION]: ["Ready, and something needs a person", "warn"],
  [DaemonState.NOT_READY]: ["Not ready", "bad"],
  [DaemonState.DRAINING]: ["Ending", "bad"],
};

function stateOf(status: GetStatusResponse, nowMs: number): Html {
  const [word, mark] = stateWords[status.state];
  const { refreshesRunning: running, refreshesWaiting: waiting, refreshLag, uptime } = status;
  const lagMs = refreshLag ? durationMs(refreshLag) : 0;
  const late = lagMs >= 1_000 ? `, the oldest late by ${formatDuration(lagMs)}` : "";
  const facts: readonly (readonly [string, Html | string])[] = [
    ["Version", status.version],
    ["Running for", uptime ? formatDuration(durationMs(uptime)) : ""],
    ["Started", momentOf(status.startedAt, nowMs) ?? ""],
    ["Refreshes", `${formatCount(running)} under way, ${formatCount(waiting)} waiting${late}`],
    ["Subscribers", html`<a href="/access#streams">${counted(status.subscribers, "open stream")}</a>`],
    ["Store", formatBytes(Number(status.storeBytes))],
  ];
  const failing = status.checks.filter(({ passing }) => !passing);
  return html`<section class="card summary-card ${mark}" aria-label="The daemon">
<p class="word"><b>${word}</b></p>
${failing.map(({ name, message }) => html`<p class="problem">${name}: <bdi>${message}</bdi></p>`)}
<dl class="short-facts">
${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>
</section>`;
}

const statuses: readonly (readonly [ConnectionStatus, string, string])[] = [
  [ConnectionStatus.ACTIVE, "Active", "good"],
  [ConnectionStatus.ATTENTION, "Need a person", "warn"],
  [ConnectionStatus.PENDING, "Wait for consent", "calm"],
  [ConnectionStatus.EXPIRED, "Request expired", "rest"],
  [ConnectionStatus.FAILED, "Consent failed", "rest"],
  [ConnectionStatus.REVOKED, "Revoked", "rest"],
];

function countsOf({ connections }: GetStatusResponse): Html {
  const tiles = statuses.map(([status, word, mark]) => {
    const count = Number(connections.find((each) => each.status === status)?.count ?? 0n);
    return html`<li class="${count === 0 ? "rest" : mark}"><b>${formatCount(count)}</b> ${word}</li>`;
  });
  return html`<ul class="tiles">
${tiles}
</ul>`;
}

function failingOf(
  { failingProviders, failingProviderCount }: GetStatusResponse,
  nowMs: number,
): Html | undefined {
  if (failingProviderCount === 0) return undefined;
  const items = failingProviders.map(
    ({ providerId, providerName, message, since, connections }) =>
      html`<li><p><a href="/providers/${providerId}"><bdi>${providerName}</bdi></a>: ${message}</p>
<p class="soft">Since ${momentOf(since, nowMs)}, ${counted(Number(connections), "connection")}.</p></li>`,
  );
  const more = failingProviderCount - failingProviders.length;
  return html`<section class="card" aria-labelledby="failing-title"><h2 id="failing-title">Failing providers</h2>
<ul class="plain-list">
${items}
</ul>
${more > 0 ? html`<p class="soft">And ${formatCount(more)} more.</p>` : undefined}</section>`;
}
