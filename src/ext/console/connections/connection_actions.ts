import {
  ConnectionService,
  type ConnectionServiceRequestConnectionResponse as Requested,
} from "../../../gen/nexus/v1/connection_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { html } from "../../../server/pages/html.js";
import { postForm, seeOther } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { momentOr } from "../frame/moments.js";
import { connectionsPath } from "./connection_list.js";
import { connectionCard, readConnection } from "./connection_page.js";
import { providerNames } from "./provider_names.js";

/** The id of the path, by which requests name the connection. */
function idOf({ params }: ConsoleVisit): { connectionId: string } {
  return { connectionId: params["id"] ?? "" };
}

export async function refresh(visit: ConsoleVisit): Promise<Answer> {
  const { connectionId } = idOf(visit);
  await visit.call(ConnectionService.method.refreshConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "refreshed");
}

export async function consentAgain(visit: ConsoleVisit): Promise<Answer> {
  const requested = await visit.call(ConnectionService.method.requestConnection, idOf(visit));
  return consentPage(visit, requested);
}

/** The link for the person who is to consent; they may sit elsewhere. */
export async function consentPage(visit: ConsoleVisit, requested: Requested): Promise<Answer> {
  const { connectionId, authUrl, expiresAt, redirectUri } = requested;
  // No person is needed: it is connected.
  if (requested.connection) return seeOther(`${connectionsPath}/${connectionId}`, "connected");
  const connection = await readConnection({ ...visit, params: { id: connectionId } });
  const nameOf = await providerNames(visit, [connection]);
  const { nowMs } = visit;
  const purpose = redirectUri === "" ? "enters the key" : "consents";
  const content = html`<p><bdi>${connection.userId}</bdi> ${purpose} at this link. Open it here if that is you, or send it to them: it works once, and ends ${momentOr(expiresAt, nowMs)}.</p>
<p class="copied"><code>${authUrl}</code></p>
<div class="actions">
<a class="button" href="${authUrl}" target="_blank" rel="noreferrer noopener">Open the link</a>
<button class="quiet" type="button" data-copy="${authUrl}" hidden>Copy the link</button>
</div>
<h2>The connection <span class="live" data-live-state></span></h2>
<div data-live="${connectionsPath}/${connectionId}/live">
${connectionCard(connection, { nameOf, nowMs })}
</div>
<p><a href="${connectionsPath}/${connectionId}">Go to the connection</a></p>
<p class="hidden" role="status" data-announce></p>`;
  return consolePage(visit, { title: `Consent at ${nameOf(connection)}`, room: connectionsPath, content });
}

export async function revokePage(visit: ConsoleVisit): Promise<Answer> {
  const connection = await readConnection(visit);
  const name = (await providerNames(visit, [connection]))(connection);
  const path = `${connectionsPath}/${connection.id}`;
  const content = html`<p>The credential of <bdi>${connection.userId}</bdi> at <bdi>${name}</bdi> is erased, its agents are told, and the provider is asked to revoke its token. This cannot be taken back: a new connection needs a new consent.</p>
<div class="actions">
${postForm(visit, `${path}/revoke`, html`<button class="danger" type="submit">Revoke</button>`)}
<a class="button quiet" href="${path}">Keep it</a>
</div>`;
  return consolePage(visit, { title: "Revoke this connection?", room: connectionsPath, content });
}

export async function revoke(visit: ConsoleVisit): Promise<Answer> {
  const { connectionId } = idOf(visit);
  await visit.call(ConnectionService.method.revokeConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "revoked");
}
