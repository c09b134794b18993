import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { DaemonState, DaemonStatus } from "../../../model/connections/connections.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { baseStyle, CheckMark, document, safeHeaders, type View } from "../../../server/pages/kit.js";
import { Card, isoOf, utcOf } from "../kit/parts.js";
import { failingAdvice, states } from "../kit/words.js";

/** Often enough to watch, and no load worth a word. */
const reloadSeconds = 10;

const style = baseStyle + readFileSync(new URL("../assets/status.css", import.meta.url), "utf8");
const styleHash = createHash("sha256").update(style).digest("base64");
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

interface StatusOptions {
  readonly reloads: boolean;
  /** The URL of the console; undefined if no browser reaches it. */
  readonly console?: string | undefined;
}

/**
 * The state of the daemon. Anyone may open the `ops` listener. So this page has only names of providers and numbers, as `/metrics` has: no
 * id of a connection or user, and no message of a failure.
 */
export function statusPage(status: DaemonStatus, { reloads, console }: StatusOptions): HttpAnswer {
  const [title, mark] = titles[status.state];
  const { version, uptimeMs, subscribers, storeBytes, checks, timeMs } = status;
  const facts = [
    `nexusd ${version}`,
    `up ${formatDuration(uptimeMs)}`,
    counted(subscribers, "subscriber"),
    `store ${formatBytes(storeBytes)}`,
    refreshesOf(status),
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
      {connectionsCard(status.connections, console)}
      <Failing {...status} />
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
      <style dangerouslySetInnerHTML={{ __html: style }} />
    </>
  );
  return { status: 200, headers, body: document({ title: `${title} - nexusd`, head, body }) };
}

function connectionsCard(of: DaemonStatus["connections"], console: string | undefined) {
  const total = states.reduce((sum, [word]) => sum + of[word], 0);
  const waiting = of.attention;
  return (
    <Card id="connections" title={<>Connections <small>{formatCount(total)} in all</small></>}>
      {total > 0 && barOf(of, total)}
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

/** The share of each state; an outline shows one connection among a million. */
function barOf(of: DaemonStatus["connections"], total: number) {
  let x = 0;
  const parts = states.map(([word]) => {
    const rect = of[word] > 0 && <rect class={`is-${word}`} x={x} width={of[word]} height="1" />;
    x += of[word];
    return rect;
  });
  return <svg class="bar" viewBox={`0 0 ${total} 1`} preserveAspectRatio="none" aria-hidden="true">{parts}</svg>;
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
            <b><bdi>{providerName}</bdi></b>: {isConsent && "Consents fail. "}
            {failingAdvice[reason]} <span class="soft">{facts.join(" \u00b7 ")}</span>
          </p>
        );
      })}
      {more > 0 && <p class="soft">and {formatCount(more)} more</p>}
    </Card>
  );
}

function refreshesOf({ nextRefreshes: [next], refreshesRunning, refreshesWaiting, refreshLagMs, timeMs }: DaemonStatus) {
  const late = refreshLagMs > lateMs ? `, the oldest late by ${formatDuration(refreshLagMs)}` : "";
  const load = `${formatCount(refreshesRunning)} refreshes under way, ${formatCount(refreshesWaiting)} waiting${late}`;
  return next ? `${load}, the next ${whenOf(next.dueAtMs, timeMs)}` : load;
}

function whenOf(atMs: number, nowMs: number): string {
  return atMs > nowMs ? `in ${formatDuration(atMs - nowMs)}` : "now";
}
