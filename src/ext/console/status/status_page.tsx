import { createHash } from "node:crypto";
import type { ConnectionStatus } from "../../../model/connections/connection.js";
import type { DaemonState, DaemonStatus, FailingReason } from "../../../model/connections/daemon_status.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { safeHeaders } from "../../../server/pages/pages.js";
import { Card, isoOf, Table, utcOf } from "../../../server/views/parts.js";
import { CheckMark, document, type View } from "../../../server/views/view.js";
import { states } from "../kit/words.js";
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

const titles: Readonly<Record<DaemonState, readonly [title: string, mark: View]>> = {
  ready: ["Ready", <CheckMark />],
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

interface StatusOptions {
  /** Whether it loads itself again. */
  readonly reloads: boolean;
  /** Where the console is; undefined where no browser reaches it. */
  readonly console?: string | undefined;
}

/**
 * The daemon at a glance. Who opens the `ops` listener is nobody, so that ids of connections and users, and messages of failures, have no
 * place here: names of providers and numbers, as in `/metrics`.
 */
export function statusPage(status: DaemonStatus, { reloads, console }: StatusOptions): Answer {
  const [title, mark] = titles[status.state];
  const { version, uptimeMs, subscribers, storeBytes, checks, timeMs } = status;
  const facts = [
    `nexusd ${version}`,
    `up ${formatDuration(uptimeMs)}`,
    counted(subscribers, "subscriber"),
    `store ${formatBytes(storeBytes)}`,
  ];
  const violations = Object.entries(checks).filter(([, check]) => check !== true);
  const body = (
    <main>
      <header class={`card ${status.state}`}>
        <div class="mark" aria-hidden="true">{mark}</div>
        <div>
          <h1>{title}</h1>
          {violations.map(([name, check]) => (
            <p class="bad">{name}: <bdi>{typeof check === "string" ? check : "no"}</bdi></p>
          ))}
          <p class="soft">{facts.join(" \u00b7 ")}</p>
        </div>
      </header>
      <Connections of={status.connections} console={console} />
      <Failing {...status} />
      <Refreshes {...status} />
      <footer>
        As of <time datetime={isoOf(timeMs)}>{utcOf(timeMs)}</time>.{" "}
        {reloads ? (
          <>Loads itself every {reloadSeconds} s. <a href="/status?refresh=off">Stop reloading</a></>
        ) : <>Stands still. <a href="/status">Follow</a></>}
      </footer>
    </main>
  );
  const head = (
    <>
      {reloads && <meta http-equiv="refresh" content={String(reloadSeconds)} />}
      {/* A text in it would be escaped, and so another style than that of the hash. */}
      <style dangerouslySetInnerHTML={{ __html: statusStyle }} />
    </>
  );
  return { status: 200, headers, body: document({ title: `${title} - nexusd`, head, body }) };
}

function Connections(props: {
  readonly of: DaemonStatus["connections"];
  readonly console: string | undefined;
}) {
  const { of, console } = props;
  const total = states.reduce((sum, [word]) => sum + of[word], 0);
  const waiting = of.attention;
  return (
    <Card id="connections" title={<>Connections <small>{formatCount(total)} in all</small></>}>
      {total > 0 && <Bar of={of} />}
      <ul class="states">
        {states.map(([word, , text]) => (
          <li class={of[word] === 0 ? "none" : undefined}>
            <b>{formatCount(of[word])}</b>
            <span><i class={`is-${word}`}></i>{text}</span>
          </li>
        ))}
      </ul>
      {waiting > 0 && (
        <p class="note">
          {waiting === 1 ? "1 connection needs" : `${formatCount(waiting)} connections need`} attention:{" "}
          {console && <><a href={`${console}/connections?state=attention`}>open the console</a>, or run </>}
          <code>nexusd connections --status attention</code>
        </p>
      )}
    </Card>
  );
}

const barWidth = 1000;
/** The share of a state that has one connection among a million: it is seen anyway. */
const leastWidth = 8;

function Bar({ of }: { readonly of: DaemonStatus["connections"] }) {
  const present: ConnectionStatus[] = states.map(([word]) => word).filter((word) => of[word] > 0);
  const total = present.reduce((sum, word) => sum + of[word], 0);
  const widths = present.map((word) => Math.max(leastWidth, (of[word] / total) * barWidth));
  const scale = barWidth / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  const parts = present.map((word, index) => {
    const width = (widths[index] ?? 0) * scale;
    const rect = <rect class={`is-${word}`} x={x.toFixed(1)} width={width.toFixed(1)} height="10" />;
    x += width;
    return rect;
  });
  return <svg class="bar" viewBox={`0 0 ${barWidth} 10`} preserveAspectRatio="none" aria-hidden="true">{parts}</svg>;
}

function Failing({ failingProviders, failingProviderCount: count, timeMs }: DaemonStatus) {
  if (count === 0) return <Card id="failing" title="Providers"><p class="soft">None is failing.</p></Card>;
  const more = count - failingProviders.length;
  return (
    <Card id="failing" title={<>Failing providers <small>{formatCount(count)}</small></>}>
      {failingProviders.map(({ providerName, reason, isConsent, sinceMs, failures, connections, retryAtMs }) => {
        const facts = [
          `for ${formatDuration(timeMs - sinceMs)}`,
          `${counted(failures, "failure")} in a row`,
          counted(connections, "connection"),
          ...(retryAtMs === undefined ? [] : [`next probe ${whenOf(retryAtMs, timeMs)}`]),
        ];
        return (
          <p>
            <b><bdi>{providerName}</bdi></b> {isConsent && "fails at consents: it "}
            {reasons[reason]}. <span class="soft">{facts.join(" \u00b7 ")}</span>
          </p>
        );
      })}
      {more > 0 && <p class="soft">and {formatCount(more)} more</p>}
    </Card>
  );
}

function Refreshes(status: DaemonStatus) {
  const { nextRefreshes, refreshesRunning, refreshesWaiting, refreshLagMs, timeMs } = status;
  const late = refreshLagMs > lateMs ? `, the oldest late by ${formatDuration(refreshLagMs)}` : "";
  const load = `${formatCount(refreshesRunning)} under way, ${formatCount(refreshesWaiting)} waiting${late}`;
  const rows = nextRefreshes.map(({ providerName, dueAtMs, failedRefreshes }) => ({
    cells: [
      <time datetime={isoOf(dueAtMs)} title={utcOf(dueAtMs)}>{whenOf(dueAtMs, timeMs)}</time>,
      <>
        <bdi>{providerName}</bdi>
        {failedRefreshes > 0 && <span class="warn"> after {counted(failedRefreshes, "failure")}</span>}
      </>,
    ],
  }));
  return (
    <Card id="refreshes" title={<>Next refreshes <small>{load}</small></>}>
      {rows.length === 0 ? <p class="soft">None is planned.</p> : (
        <Table caption="Next refreshes" columns={["When", "Provider"]} rows={rows} isHeaded={false} />
      )}
    </Card>
  );
}

function whenOf(atMs: number, nowMs: number): string {
  return atMs > nowMs ? `in ${formatDuration(atMs - nowMs)}` : "now";
}
