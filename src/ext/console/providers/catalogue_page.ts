import { ProviderService, type ProviderTemplate } from "../../../gen/nexus/v1/provider_pb.js";
import { counted } from "../../../model/quantity_text.js";
import { searchTemplates } from "../../../model/template_search.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { providersPath } from "./provider_list.js";
import { kindWords } from "./provider_words.js";

/** More than any catalogue of a person's holds. */
const maxTemplates = 1_000;

/** The catalogue, searched by what is submitted; with the script, as one types. */
export async function cataloguePage(visit: ConsoleVisit): Promise<Answer> {
  const search = (visit.query.get("search") ?? "").slice(0, 128);
  const { templates } = await visit.call(ProviderService.method.listProviderTemplates, {
    pageSize: maxTemplates,
  });
  const found = searchTemplates(templates, search);
  const content = html`<form class="search" role="search" method="get" action="${providersPath}/add" data-search="catalogue">
<label class="hidden" for="search">Search by name or category</label>
<input id="search" type="search" name="search" maxlength="128" value="${search}" placeholder="Name or category" autofocus autocomplete="off">
<button class="quiet" type="submit">Search</button>
</form>
<div id="catalogue">
<p class="soft" role="status">${counted(found.length, "template")}</p>
<ul class="catalogue">
${found.map(templateItem)}
</ul>
<p>${found.length === 0 ? "The catalogue has none of this name. " : ""}<a href="${providersPath}/new">Another OpenID Connect provider</a>, by its issuer.</p>
</div>`;
  return consolePage(visit, { title: "Add a provider", room: providersPath, content });
}

function templateItem({ name, displayName, provider }: ProviderTemplate): Html {
  const words = [provider?.category, provider && kindWords(provider)].filter((text) => text);
  return html`<li><a href="${providersPath}/add/${encodeURIComponent(name)}"><b><bdi>${displayName}</bdi></b> <code>${name}</code> <span class="soft">${words.join(" \u00b7 ")}</span></a></li>`;
}
