import { AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { FailingProvider } from "../../../gen/nexus/v1/status_pb.js";
import { counted } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html, type Part } from "../../../server/pages/html.js";
import { auditTable } from "../audit/audit_rows.js";
import { postForm, seeOther } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import { type ConsoleVisit, refuseUnless } from "../frame/console_visit.js";
import { momentOf } from "../frame/moments.js";
import { failingProviders, providersPath } from "./provider_list.js";
import { healthAdvice, healthOf, isOAuth2, kindWords, nameOf } from "./provider_words.js";
import { copyField, docsLink, findTemplate, notesOf } from "./template_parts.js";

const maxProblems = 5;

export async function providerPage(visit: ConsoleVisit): Promise<Answer> {
  return await showProvider(visit, await readProvider(visit));
}

/** @param warnings of its registration */
export async function showProvider(
  visit: ConsoleVisit,
  provider: Provider,
  warnings: readonly string[] = [],
): Promise<Answer> {
  const [failing, template, problems] = await Promise.all([
    failingProviders(visit),
    findTemplate(visit, provider.template),
    problemsOf(visit, provider.id),
  ]);
  const { id, redirectUri } = provider;
  const connect = html`<a class="button" href="/connections/new?${new URLSearchParams({ provider: id }).toString()}">Connect now</a>`;
  const remove = html`<a class="button quiet" href="${providersPath}/${id}/delete">Delete</a>`;
  const client = html`<a class="button quiet" href="${providersPath}/${id}/client">Change the client</a>`;
  const manage = html`${isOAuth2(provider) ? client : undefined} ${remove}`;
  const content = html`${warnings.map((warning) => html`<p class="problem" role="alert">${warning}</p>`)}
<p class="lead actions">${visit.may("connection.request") ? connect : undefined} ${visit.may("provider.manage") ? manage : undefined}</p>
${
  redirectUri === ""
    ? undefined
    : html`<section class="card" aria-labelledby="register"><h2 id="register">At the provider's console</h2>
<p>Register a client with this redirect URI, character by character.</p>
${copyField("redirect-uri", "Redirect URI", redirectUri)}
${template && docsLink(template)}
${template && notesOf(template)}</section>`
}
${failing && healthSection(failing.get(id), visit.nowMs)}
${problems}
<section aria-labelledby="profile"><h2 id="profile">Profile</h2>
${factsOf(provider, visit.nowMs)}</section>`;
  return consolePage(visit, { title: nameOf(visit, provider), room: providersPath, content });
}

export async function readProvider(visit: ConsoleVisit): Promise<Provider> {
  const key = { case: "id", value: visit.params["id"] ?? "" } as const;
  const { provider } = await visit.call(ProviderService.method.getProvider, { key });
  if (!provider) throw new Error("an answer without a provider");
  return provider;
}

function healthSection(failing: FailingProvider | undefined, nowMs: number): Html {
  const { text, tone } = healthOf(failing);
  const trouble = failing && [
    html`<p>${failing.message} ${healthAdvice[failing.reason]}</p>`,
    html`<p class="soft">Since ${momentOf(failing.since, nowMs)}, ${counted(failing.failures, "failure")} in a row, ${counted(
      Number(failing.connections),
      "connection",
    )}${failing.retryAt && html`; the next attempt ${momentOf(failing.retryAt, nowMs)}`}.</p>`,
  ];
  return html`<section class="card" aria-labelledby="health"><h2 id="health">Health</h2>
<p><span class="state ${tone}">${text}</span></p>
${trouble}</section>`;
}

async function problemsOf(visit: ConsoleVisit, providerId: string): Promise<Html | undefined> {
  if (!visit.may("audit.read")) return undefined;
  const { events } = await visit.call(AuditService.method.listAuditEvents, {
    pageSize: maxProblems,
    providerId,
    eventType: "token_refresh_failed",
  });
  if (events.length === 0) return undefined;
  return html`<section aria-labelledby="problems"><h2 id="problems">Last failed refreshes</h2>
${auditTable(events, "Failed refreshes, the newest first")}
<p><a href="/audit?${new URLSearchParams({ provider: providerId }).toString()}">Everything about this provider</a></p></section>`;
}

function factsOf(provider: Provider, nowMs: number): Html {
  const { name, template, clientId, clientSecretSet, issuer, authUrl, tokenUrl, scopes } = provider;
  const isClient = isOAuth2(provider);
  const facts: readonly (readonly [string, Part])[] = [
    ["Name", html`<code>${name}</code>`],
    ["Template", template],
    ["Connected by", kindWords(provider)],
    ["Client id", clientId],
    ["Client secret", isClient ? (clientSecretSet ? "Stored, sealed" : "None: a public client") : ""],
    [
      "Scopes",
      scopes.length === 0
        ? ""
        : html`<ul class="tags">${scopes.map((scope) => html`<li>${scope}</li>`)}</ul>`,
    ],
    ["Issuer", issuer],
    ["Authorization endpoint", authUrl],
    ["Token endpoint", tokenUrl],
    ["API", provider.apiBaseUrl],
    ["Description", provider.description],
    ["Registered", momentOf(provider.createdAt, nowMs)],
    ["Changed", momentOf(provider.updatedAt, nowMs)],
    ["Id", html`<code>${provider.id}</code>`],
  ];
  const shown = facts.filter(([, value]) => value !== "" && value !== undefined);
  return html`<dl class="facts card">
${shown.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}
</dl>`;
}

export async function deletePage(visit: ConsoleVisit): Promise<Answer> {
  refuseUnless(visit, "provider.manage");
  const provider = await readProvider(visit);
  const path = `${providersPath}/${provider.id}`;
  const content = html`<div class="card narrow">
<p>The profile <b><bdi>${nameOf(visit, provider)}</bdi></b> and its client secret are erased. Its connections stay and keep the token that they have; none of them is refreshed any more, and pending requests for consent come to nothing.</p>
${postForm(visit, `${path}/delete`, html`<div class="actions"><button type="submit" class="danger">Delete the provider</button> <a class="button quiet" href="${path}">Cancel</a></div>`)}
</div>`;
  return consolePage(visit, { title: "Delete this provider?", room: providersPath, content });
}

export async function deleteProvider(visit: ConsoleVisit): Promise<Answer> {
  await visit.call(ProviderService.method.deleteProvider, { id: visit.params["id"] ?? "" });
  return seeOther(providersPath, "provider_deleted");
}
