import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { AccessService, type ApiKey } from "../../../gen/nexus/v1/access_pb.js";
import { AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import { type OpenStream, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { auditTable } from "../audit/audit_rows.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleRoom, ConsoleVisit } from "../frame/console_visit.js";
import { momentOf } from "../frame/moments.js";
import { createKey, newKeyPage, revokeKey, revokePage } from "./api_key_pages.js";
import { restrictionWords, roleWords } from "./role_words.js";

const path = "/access";
const hourMs = 60 * 60_000;
const maxKeys = 100;
const maxStreams = 100;
const maxDenied = 20;

export const accessRoom: ConsoleRoom = {
  title: "Access",
  path,
  action: "status.read",
  pages: {
    [path]: accessPage,
    "/access/keys/new": (visit) => newKeyPage(visit),
    "/access/keys/{name}/revoke": (visit) => revokePage(visit),
  },
  actions: {
    "/access/keys/new": createKey,
    "/access/keys/{name}/revoke": revokeKey,
  },
};

async function accessPage(visit: ConsoleVisit): Promise<Answer> {
  const sections = await Promise.all([
    ...(visit.may("key.manage") ? [keysOf(visit)] : []),
    streamsOf(visit),
    ...(visit.may("audit.read") ? [deniedOf(visit)] : []),
  ]);
  return consolePage(visit, { title: "Access", room: path, content: html`${sections}` });
}

async function keysOf(visit: ConsoleVisit): Promise<Html> {
  const includeRevoked = visit.query.get("revoked") === "1";
  const { apiKeys, nextPageToken } = await visit.call(AccessService.method.listApiKeys, {
    pageSize: maxKeys,
    pageToken: visit.query.get("keys") ?? "",
    includeRevoked,
  });
  const rows = apiKeys.map((key) => keyRow(key, visit.nowMs));
  const table = html`<table class="rows">
<caption class="hidden">API keys</caption>
<thead><tr><th scope="col">Name</th><th scope="col">Role</th><th scope="col">Created</th><th scope="col">Last used</th><th scope="col">Ends</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
<tbody>
${rows}
</tbody>
</table>`;
  const query = new URLSearchParams({ keys: nextPageToken, ...(includeRevoked && { revoked: "1" }) });
  return html`<section aria-labelledby="keys-title">
<div class="heading"><h2 id="keys-title">API keys</h2><a class="button" href="/access/keys/new">New key</a></div>
${rows.length === 0 ? html`<p>There is none yet: the owner of this machine needs none.</p>` : table}
<p class="actions"><a href="${includeRevoked ? path : `${path}?revoked=1`}">${includeRevoked ? "Hide revoked keys" : "Show revoked keys"}</a>${
    nextPageToken === "" ? undefined : html` <a href="${path}?${query.toString()}">More</a>`
  }</p>
</section>`;
}

function keyRow(key: ApiKey, nowMs: number): Html {
  const { name, role, restriction, createdAt, createdBy, lastUsedAt, expiresAt, revokedAt, revokedBy } = key;
  const limits = restrictionWords(restriction);
  const end = revokedAt
    ? html`<span class="state bad">Revoked</span> ${momentOf(revokedAt, nowMs)} by <bdi>${revokedBy}</bdi>`
    : (momentOf(expiresAt, nowMs) ?? "Never");
  const revoke = html`<a class="button quiet" href="/access/keys/${name}/revoke">Revoke<span class="hidden"> ${name}</span></a>`;
  return html`<tr>
<th scope="row" data-label="Name"><bdi>${name}</bdi></th>
<td data-label="Role"><div>${roleWords[role]}${limits === undefined ? undefined : html`<br><span class="soft">${limits}</span>`}</div></td>
<td data-label="Created"><div>${momentOf(createdAt, nowMs)} by <bdi>${createdBy}</bdi></div></td>
<td data-label="Last used"><div>${lastUse(lastUsedAt, nowMs)}</div></td>
<td data-label="Ends"><div>${end}</div></td>
<td>${revokedAt ? undefined : revoke}</td>
</tr>`;
}

/** It is known to the hour. */
function lastUse(lastUsedAt: Timestamp | undefined, nowMs: number): Html | string | undefined {
  if (!lastUsedAt) return "Never";
  return nowMs - timestampMs(lastUsedAt) < hourMs ? "Within the hour" : momentOf(lastUsedAt, nowMs);
}

async function streamsOf(visit: ConsoleVisit): Promise<Html> {
  const { streams, count } = await visit.call(StatusService.method.listOpenStreams, {
    maxEntries: maxStreams,
  });
  const more = count - streams.length;
  const table = html`<table class="rows">
<caption class="hidden">Open streams, the oldest first</caption>
<thead><tr><th scope="col">Who</th><th scope="col">What</th><th scope="col">From</th><th scope="col">Since</th></tr></thead>
<tbody>
${streams.map((stream) => streamRow(stream, visit.nowMs))}
</tbody>
</table>`;
  return html`<section id="streams" aria-labelledby="streams-title" data-poll="5">
<h2 id="streams-title">Open streams <span class="count">${formatCount(count)}</span></h2>
<p class="soft">Agents and proxies that are told of each new token.</p>
${count === 0 ? html`<p>None is open.</p>` : table}
${more > 0 ? html`<p class="soft">And ${formatCount(more)} more.</p>` : undefined}
</section>`;
}

function streamRow({ principal, rpc, listener, origin, openedAt }: OpenStream, nowMs: number): Html {
  return html`<tr>
<th scope="row" data-label="Who"><bdi>${principal}</bdi></th>
<td data-label="What"><div>${rpc.split(".").at(-1)} <span class="soft">on <code>${listener}</code></span></div></td>
<td data-label="From"><div>${origin}</div></td>
<td data-label="Since"><div>${momentOf(openedAt, nowMs)}</div></td>
</tr>`;
}

async function deniedOf(visit: ConsoleVisit): Promise<Html> {
  const { events } = await visit.call(AuditService.method.listAuditEvents, {
    pageSize: maxDenied,
    eventType: "access.denied",
  });
  return html`<section aria-labelledby="denied-title">
<h2 id="denied-title">Denied calls</h2>
${events.length === 0 ? html`<p>None was denied.</p>` : auditTable(events, "Denied calls, the newest first")}
<p><a href="/audit?type=access.denied">All denied calls</a></p>
</section>`;
}
