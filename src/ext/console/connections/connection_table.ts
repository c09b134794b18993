import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type Connection, ConnectionSchema } from "../../../gen/nexus/v1/connection_pb.js";
import { accountText } from "../../../model/credentials/account.js";
import { type Html, html } from "../../../server/pages/html.js";
import { momentOr } from "../frame/moments.js";
import { adviceOf, stateWord } from "./connection_words.js";

/** What a connection is shown with. */
export interface Shown {
  readonly nameOf: (connection: Connection) => string;
  readonly nowMs: number;
}

/** More scopes than these are counted in a row, and all are on the page of the connection. */
const maxScopes = 4;

export function elementId(connectionId: string): string {
  return `c-${connectionId}`;
}

/** Other when anything of the connection is: what its element has to be replaced for. */
export function versionOf(connection: Connection): string {
  return createHash("sha256").update(toBinary(ConnectionSchema, connection)).digest("hex").slice(0, 16);
}

/** The attributes of an element that the script replaces, and whose changes of state it reads out. */
export function liveAttributes(connection: Connection, name: string): Html {
  const { id, userId } = connection;
  return html`id="${elementId(id)}" data-version="${versionOf(connection)}" data-name="${name}, ${userId}" data-state="${stateWord(connection).text}"`;
}

/** Roles are written out: the narrow layout takes them from the elements. @param isHidden until the script puts a row in */
export function connectionTable(connections: readonly Connection[], shown: Shown, isHidden: boolean): Html {
  const titles = [
    "Provider",
    "User",
    "Account",
    "State",
    "Scopes",
    "Token ends",
    "Last refresh",
    "Next refresh",
  ];
  return html`<table class="rows connections" role="table"${isHidden ? html` hidden` : undefined}>
<caption class="hidden">Connections</caption>
<thead role="rowgroup"><tr role="row">${titles.map((title) => html`<th scope="col" role="columnheader">${title}</th>`)}</tr></thead>
<tbody role="rowgroup">
${connections.map((connection) => connectionRow(connection, shown))}
</tbody>
</table>`;
}

export function connectionRow(connection: Connection, { nameOf, nowMs }: Shown): Html {
  const { id, userId, label, account, expiresAt, issuedAt, refreshNotBefore } = connection;
  const name = nameOf(connection);
  return html`<tr role="row" ${liveAttributes(connection, name)}>
<th scope="row" role="rowheader" data-label="Provider"><a href="/connections/${id}"><bdi>${name}</bdi></a></th>
<td role="cell" data-label="User"><bdi>${userId}</bdi>${label === "" ? undefined : html` <span class="tag"><bdi>${label}</bdi></span>`}</td>
<td role="cell" data-label="Account">${orNone(accountText(account))}</td>
<td role="cell" data-label="State">${stateOf(connection, nowMs)}</td>
<td role="cell" data-label="Scopes">${scopesOf(connection, maxScopes)}</td>
<td role="cell" data-label="Token ends">${momentOr(expiresAt, nowMs)}</td>
<td role="cell" data-label="Last refresh">${momentOr(issuedAt, nowMs)}</td>
<td role="cell" data-label="Next refresh">${momentOr(refreshNotBefore, nowMs)}</td>
</tr>`;
}

/** In colour and in words, with the problem and what to do. */
export function stateOf(connection: Connection, nowMs: number): Html {
  const { problem } = connection;
  const { text, tone } = stateWord(connection);
  const why =
    problem &&
    html`
<p class="why"><bdi>${problem.message}</bdi> <b>${adviceOf(problem)}</b>${problem.retryAt && html` Next try ${momentOr(problem.retryAt, nowMs)}.`}</p>`;
  return html`<span class="state ${tone}">${text}</span>${why}`;
}

/** Those granted; those asked for where nobody consented yet. */
export function scopesOf(
  { grantedScopes, requestedScopes }: Connection,
  max = Number.POSITIVE_INFINITY,
): Html {
  const scopes = grantedScopes.length > 0 ? grantedScopes : requestedScopes;
  if (scopes.length === 0) return orNone("");
  const shown = scopes.slice(0, max).map((scope) => html`<li><bdi>${scope}</bdi></li>`);
  const more = scopes.length > max ? html`<li class="soft">and ${scopes.length - max} more</li>` : undefined;
  return html`<ul class="tags">${shown}${more}</ul>`;
}

export function orNone(text: string): Html {
  return text === "" ? html`<span class="soft none">\u2013</span>` : html`<bdi>${text}</bdi>`;
}
