import { createHash } from "node:crypto";
import { type ConnectionStatus, connectionStatuses } from "../../../model/connections/connection.js";
import type { DaemonState, DaemonStatus, FailingReason } from "../../../model/connections/daemon_status.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Html, html, joined } from "../../../server/pages/html.js";
import { checkMark, safeHeaders } from "../../../server/pages/pages.js";
import { statusStyle } from "./status_style.js";

/** Often enough to watch, and no load worth a word. */
const reloadSeconds = 10;

const styleHash = createHash("sha256").update(statusStyle).digest("base64");

const headers = {
  ...safeHeaders,
  "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  "content-type": "text/html; charset=utf-8",
};

/** A late refresh is worth a word after this long; a tick of the scheduler is sooner. */
const lateMs = 5_000;

const titles: Readonly<Record<DaemonState, readonly [title: string, mark: Html | string]>> = {
  ready: ["Ready", checkMark],
  attention: ["Needs attention", "!"],
  not_ready: ["Not ready", "!"],
  draining: ["Ending", "\u2013"],
};

const reasons: Readonly<Record<FailingReason, string>> = {
  misconfigured: "refuses the client, or must not be called: fix its profile or the settings",
  transient: "does not process token requests; the daemon tries again by itself",
  ambiguous: "takes token requests and does not answer",
  rejected: "answers token requests with something that cannot be used",
};

/**
 * The daemon at a glance. Who opens the `ops` listener is nobody, so that ids of connections and users, and messages of failures, have no
 * place here: names of providers and numbers, as in `/metrics`.
 *
 * @param reloads whether it loads itself again
 */
export function statusPage(status: DaemonStatus, { reloads }: { readonly reloads: boolean }): Answer {
  const [title] = titles[status.state];
  const refresh = reloads ? html`<meta http-equiv="refresh" content="${reloadSeconds}">\n` : undefined;
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh}<title>${title} - nexusd</title>
<style>${new Html(statusStyle)}</style>
</head>
<body>
<main>
${headOf(status)}
${connectionsOf(status)}
${failingOf(status)}
${refreshesOf(status)}
${footOf(status, reloads)}
</main>
</body>
</html>
`.text;
  return { status: 200, headers, body };
}

function headOf(status: DaemonStatus): Html {
  const [title, mark] = titles[status.state];
  const facts = [
    html`nexusd <bdi>${status.version}</bdi>`,
    `up ${formatDuration(status.uptimeMs)}`,
    counted(status.subscribers, "subscriber"),
    `store ${formatBytes(status.storeBytes)}`,
  ];
  const violations = Object.entries(status.checks)
    .filter(([, check]) => check !== true)
    .map(
      ([name, check]) =>
        html`<p class="bad">${name}: <bdi>${typeof check === "string" ? check : "no"}</bdi></p>`,
    );
  return html`<header class="${status.state}">
<div class="mark" aria-hidden="true">${mark}</div>
<div>
<h1>${title}</h1>
${violations}
<p class="soft">${joined(facts, " \u00b7 ")}</p>
</div>
</header>`;
}

/** The word of the stylesheet for a state; `attention` is also one of the daemon. */
function classOf(status: ConnectionStatus): string {
  return status === "attention" ? "attention-state" : status;
}

/** What a person looks for comes first. */
const order: readonly ConnectionStatus[] = [
  "active",
  "attention",
  "pending",
  ...connectionStatuses.filter((status) => !["active", "attention", "pending"].includes(status)),
];

function connectionsOf({ connections }: DaemonStatus): Html {
  const total = order.reduce((sum, status) => sum + connections[status], 0);
  const states = order.map((status) => {
    const count = connections[status];
    const isNone = count === 0 ? html` class="none"` : undefined;
    return html`<li${isNone}><b>${formatCount(count)}</b><span><i class="${classOf(status)}"></i>${status}</span></li>`;
  });
  const waiting = connections.attention;
  const note =
    waiting === 0
      ? undefined
      : html`\n<p class="note"><span class="warn">${counted(waiting, "connection")} ${waiting === 1 ? "waits" : "wait"} for a person.</span> <code>nexusd connections --status attention</code></p>`;
  return html`<section>
<h2>Connections <small>${formatCount(total)} in all</small></h2>
${total === 0 ? undefined : barOf(connections, total)}
<ul class="states">
${states}
</ul>${note}
</section>`;
}

const barWidth = 1000;
/** The share of a state that has one connection among a million: it is seen all the same. */
const leastWidth = 8;

function barOf(connections: DaemonStatus["connections"], total: number): Html {
  const present = order.filter((status) => connections[status] > 0);
  const widths = present.map((status) => Math.max(leastWidth, (connections[status] / total) * barWidth));
  const scale = barWidth / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  const parts = present.map((status, index) => {
    const width = (widths[index] ?? 0) * scale;
    const rect = html`<rect class="${classOf(status)}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="10"/>`;
    x += width;
    return rect;
  });
  return html`<svg viewBox="0 0 ${barWidth} 10" preserveAspectRatio="none" aria-hidden="true">${parts}</svg>`;
}

function failingOf({ failingProviders, failingProviderCount, timeMs }: DaemonStatus): Html {
  if (failingProviderCount === 0) {
    return html`<section>
<h2>Providers</h2>
<p class="soft">None is failing.</p>
</section>`;
  }
  const items = failingProviders.map((provider) => {
    const facts = [
      `for ${formatDuration(timeMs - provider.sinceMs)}`,
      `${counted(provider.failures, "failure")} in a row`,
      counted(provider.connections, "connection"),
      ...(provider.retryAtMs === undefined ? [] : [`next probe ${whenOf(provider.retryAtMs, timeMs)}`]),
    ];
    return html`<li><p><b><bdi>${provider.providerName}</bdi></b> ${reasons[provider.reason]}.</p>
<p class="soft">${facts.join(" \u00b7 ")}</p></li>`;
  });
  const more = failingProviderCount - failingProviders.length;
  return html`<section>
<h2 class="warn">Failing providers <small>${formatCount(failingProviderCount)}</small></h2>
<ul class="failing">
${items}
</ul>${more > 0 ? html`\n<p class="note soft">and ${formatCount(more)} more</p>` : undefined}
</section>`;
}

function refreshesOf(status: DaemonStatus): Html {
  const { nextRefreshes, refreshesRunning, refreshesWaiting, refreshLagMs, timeMs } = status;
  const late = refreshLagMs > lateMs ? `, the oldest late by ${formatDuration(refreshLagMs)}` : "";
  const load = `${formatCount(refreshesRunning)} under way, ${formatCount(refreshesWaiting)} waiting${late}`;
  const rows = nextRefreshes.map(
    ({ providerName, dueAtMs, failedRefreshes }) =>
      html`<tr><td><time datetime="${isoOf(dueAtMs)}">${whenOf(dueAtMs, timeMs)}</time></td><td><bdi>${providerName}</bdi>${failedRefreshes > 0 ? html` <span class="warn">after ${counted(failedRefreshes, "failure")}</span>` : undefined}</td></tr>`,
  );
  const table =
    rows.length === 0
      ? html`<p class="soft">None is planned.</p>`
      : html`<table>
<thead><tr><th scope="col">When</th><th scope="col">Provider</th></tr></thead>
<tbody>
${rows}
</tbody>
</table>`;
  return html`<section>
<h2>Next refreshes <small>${load}</small></h2>
${table}
</section>`;
}

function footOf({ timeMs }: DaemonStatus, reloads: boolean): Html {
  const switched = reloads
    ? html`Loads itself every ${reloadSeconds} s. <a href="/status?refresh=off">Stop reloading</a>`
    : html`Stands still. <a href="/status">Follow</a>`;
  return html`<footer>As of <time datetime="${isoOf(timeMs)}">${isoOf(timeMs).replace("T", " ").replace("Z", " UTC")}</time>. ${switched}</footer>`;
}

function whenOf(atMs: number, nowMs: number): string {
  return atMs > nowMs ? `in ${formatDuration(atMs - nowMs)}` : "now";
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}
