import { type AuditEvent, AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { accountText } from "../../../model/credentials/account.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html, type Part } from "../../../server/pages/html.js";
import { postForm } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { fullMoment, momentOr } from "../frame/moments.js";
import { connectionsPath } from "./connection_list.js";
import { liveAttributes, orNone, type Shown, scopesOf, stateOf } from "./connection_table.js";
import { liveConnections } from "./live_connections.js";
import { knownNames, providerNames } from "./provider_names.js";

/** In the query of the stream of a card that has its buttons. */
const actionsField = "actions";
const historySize = 30;
/** A call looks at a bounded stretch of the log, which may hold nothing of this connection. */
const maxCalls = 10;

export async function readConnection({ call, params }: ConsoleVisit): Promise<Connection> {
  const connectionId = params["id"] ?? "";
  const { connection } = await call(ConnectionService.method.getConnection, { connectionId });
  if (!connection) throw new Error("a connection was answered without the connection");
  return connection;
}

export async function connectionPage(visit: ConsoleVisit): Promise<Answer> {
  const { nowMs } = visit;
  const connection = await readConnection(visit);
  const nameOf = await providerNames(visit, [connection]);
  const path = `${connectionsPath}/${connection.id}`;
  const content = html`<p class="lead"><a href="${connectionsPath}">All connections</a> <span class="live" data-live-state></span></p>
<div data-live="${path}/live?${actionsField}=1">
${connectionCard(connection, { nameOf, nowMs }, actionsOf(visit, connection))}
</div>
${await historyOf(visit, connection)}
<p class="hidden" role="status" data-announce></p>`;
  const title = `${nameOf(connection)}, ${connection.userId}`;
  return consolePage(visit, { title, room: connectionsPath, content });
}

/** The card of a page, as it changes; with its buttons where the page has them. */
export function liveCard(visit: ConsoleVisit): Answer {
  const nameOf = knownNames(visit.session);
  const hasActions = visit.query.has(actionsField);
  return liveConnections(visit, [visit.params["id"] ?? ""], (connection) => {
    const actions = hasActions ? actionsOf(visit, connection) : undefined;
    return connectionCard(connection, { nameOf, nowMs: visit.clock.nowMs() }, actions);
  });
}

/** All that is known of a connection, without what is sealed. @param actions what can be done with it */
export function connectionCard(connection: Connection, { nameOf, nowMs }: Shown, actions?: Html): Html {
  const { id, userId, label, account, expiresAt, issuedAt, refreshNotBefore, refreshExpiresAt } = connection;
  const facts: readonly (readonly [string, Part])[] = [
    ["State", stateOf(connection, nowMs)],
    ["User", html`<bdi>${userId}</bdi>`],
    ...(label === "" ? [] : [["Label", html`<bdi>${label}</bdi>`] as const]),
    ["Account", orNone(accountText(account))],
    ["Scopes", scopesOf(connection)],
    ["Token ends", momentOr(expiresAt, nowMs, "not known")],
    ["Last refresh", momentOr(issuedAt, nowMs, "none yet")],
    ["Next refresh", momentOr(refreshNotBefore, nowMs, "none is planned")],
    ...(refreshExpiresAt ? [["Consent ends", momentOr(refreshExpiresAt, nowMs)] as const] : []),
    ["Revision", String(connection.revision)],
    ["Made", fullMoment(connection.createdAt)],
    ["Id", html`<code>${id}</code>`],
  ];
  return html`<div ${liveAttributes(connection, nameOf(connection))}>
<dl class="card facts">
${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}
</dl>
${actions}
</div>`;
}

function actionsOf(visit: ConsoleVisit, { id, status, refreshable }: Connection): Html | undefined {
  if (status === ConnectionStatus.REVOKED) return undefined;
  const path = `${connectionsPath}/${id}`;
  const isConsented = status === ConnectionStatus.ACTIVE || status === ConnectionStatus.ATTENTION;
  const consent = isConsented ? "Consent again" : "Ask for consent";
  const isFirst = status !== ConnectionStatus.ACTIVE;
  const button = (text: string, quiet: boolean): Html =>
    html`<button type="submit"${quiet ? html` class="quiet"` : undefined}>${text}</button>`;
  return html`<div class="actions">
${refreshable && status === ConnectionStatus.ACTIVE ? postForm(visit, `${path}/refresh`, button("Refresh now", false)) : undefined}
${postForm(visit, `${path}/consent`, button(consent, !isFirst))}
<a class="button quiet" href="${path}/revoke">Revoke</a>
</div>`;
}

async function historyOf(visit: ConsoleVisit, { id: connectionId }: Connection): Promise<Html> {
  if (!visit.may("audit.read")) {
    return html`<h2>History</h2>
<p class="soft">The audit log is for the roles admin and operator.</p>`;
  }
  const events: AuditEvent[] = [];
  let pageToken = "";
  for (let calls = 0; calls < maxCalls; calls++) {
    const request = { connectionId, pageSize: historySize, pageToken };
    const page = await visit.call(AuditService.method.listAuditEvents, request);
    events.push(...page.events);
    pageToken = page.nextPageToken;
    if (pageToken === "" || events.length >= historySize) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const rows = events.slice(0, historySize).map((event) => historyRow(event, visit.nowMs));
  if (rows.length === 0) {
    return html`<h2>History</h2>
<p class="soft">The newest part of the audit log has nothing of this connection.</p>`;
  }
  return html`<h2>History</h2>
<table class="rows" role="table">
<caption class="hidden">What happened, newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">When</th><th scope="col" role="columnheader">What</th><th scope="col" role="columnheader">Who</th><th scope="col" role="columnheader">Why</th></tr></thead>
<tbody role="rowgroup">
${rows}
</tbody>
</table>`;
}

function historyRow(
  { time, eventType, principal, origin, reason, revision, count }: AuditEvent,
  nowMs: number,
): Html {
  const times = count > 1n ? html` <span class="soft">${String(count)} times</span>` : undefined;
  const of = revision > 0n ? html` <span class="soft">revision ${String(revision)}</span>` : undefined;
  return html`<tr role="row">
<td role="cell" data-label="When">${momentOr(time, nowMs)}</td>
<td role="cell" data-label="What"><code>${eventType}</code>${of}${times}</td>
<td role="cell" data-label="Who"><bdi>${principal}</bdi>${origin === "" ? undefined : html` <span class="soft">${origin}</span>`}</td>
<td role="cell" data-label="Why">${orNone(reason)}</td>
</tr>`;
}
