import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { type FailingProvider, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { healthOf, kindWords, nameOf } from "./provider_words.js";

export const providersPath = "/providers";
const pageSize = 100;
const maxFailing = 100;

/** The providers at which refreshing fails, by id; undefined for who may not read the status. */
export async function failingProviders(
  visit: ConsoleVisit,
): Promise<ReadonlyMap<string, FailingProvider> | undefined> {
  if (!visit.may("status.read")) return undefined;
  const { failingProviders: failing } = await visit.call(StatusService.method.getStatus, {
    maxEntries: maxFailing,
  });
  return new Map(failing.map((each) => [each.providerId, each]));
}

export async function listPage(visit: ConsoleVisit): Promise<Answer> {
  const pageToken = visit.query.get("page") ?? "";
  const [{ providers, nextPageToken }, failing] = await Promise.all([
    visit.call(ProviderService.method.listProviders, { pageSize, pageToken }),
    failingProviders(visit),
  ]);
  const canAdd = visit.may("provider.manage");
  const add = html`<p class="lead actions"><a class="button" href="${providersPath}/add">Add provider</a></p>`;
  const content = html`${canAdd ? add : undefined}
<div id="providers" data-poll="3">
${providers.length === 0 ? emptyText(canAdd) : table(visit, providers, failing)}
</div>
${nextPageToken === "" ? undefined : html`<p><a class="button quiet" rel="next" href="${providersPath}?${new URLSearchParams({ page: nextPageToken }).toString()}">Next page</a></p>`}`;
  return consolePage(visit, { title: "Providers", room: providersPath, content });
}

function emptyText(canAdd: boolean): Html {
  return html`<p class="soft">There is no provider${canAdd ? " yet: add the first one from the catalogue" : " that you may see"}.</p>`;
}

function table(
  visit: ConsoleVisit,
  providers: readonly Provider[],
  failing: ReadonlyMap<string, FailingProvider> | undefined,
): Html {
  const rows = providers.map((provider) => {
    const { id, name, clientId, scopes } = provider;
    const trouble = failing?.get(id);
    const health = healthOf(trouble);
    const why = trouble && html`<p class="why">${trouble.message}</p>`;
    return html`<tr>
<th scope="row" data-label="Provider"><a href="${providersPath}/${id}"><bdi>${nameOf(visit, provider)}</bdi></a></th>
<td data-label="Name"><code>${name}</code></td>
<td data-label="Connected by">${kindWords(provider)}</td>
<td data-label="Client"><bdi>${clientId === "" ? "\u2013" : clientId}</bdi></td>
<td data-label="Scopes">${formatCount(scopes.length)}</td>
${failing && html`<td data-label="Health"><div><span class="state ${health.tone}">${health.text}</span>${why}</div></td>`}
</tr>`;
  });
  return html`<table class="rows">
<caption class="hidden">Registered providers</caption>
<thead><tr><th scope="col">Provider</th><th scope="col">Name</th><th scope="col">Connected by</th><th scope="col">Client</th><th scope="col">Scopes</th>${failing && html`<th scope="col">Health</th>`}</tr></thead>
<tbody>
${rows}
</tbody>
</table>`;
}
