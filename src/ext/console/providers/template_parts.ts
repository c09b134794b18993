import { ProviderService, type ProviderTemplate } from "../../../gen/nexus/v1/provider_pb.js";
import { type Html, html } from "../../../server/pages/html.js";
import type { ConsoleVisit } from "../frame/console_visit.js";

/** Undefined when the catalogue has none of this name, or the principal may not read it. */
export async function findTemplate(visit: ConsoleVisit, name: string): Promise<ProviderTemplate | undefined> {
  if (name === "" || name.length > 63 || !visit.may("template.read")) return undefined;
  const { templates } = await visit.call(ProviderService.method.listProviderTemplates, {
    namePrefix: name,
    pageSize: 1,
  });
  return templates.find((template) => template.name === name);
}

/** A text to be copied; without scripts it is selected by hand. */
export function copyField(id: string, label: string, value: string): Html {
  return html`<div class="field"><label for="${id}">${label}</label>
<div class="copy"><input id="${id}" readonly value="${value}" autocomplete="off" spellcheck="false"> <button type="button" class="quiet" data-copy="${value}" hidden>Copy</button></div></div>`;
}

/** A catalogue of one's own may hold any text: only a web address is a link. */
export function docsLink({ docsUrl, displayName }: ProviderTemplate): Html | undefined {
  if (!URL.canParse(docsUrl) || !["https:", "http:"].includes(new URL(docsUrl).protocol)) return undefined;
  return html`<p><a href="${docsUrl}" target="_blank" rel="noopener noreferrer">How ${displayName} explains it</a> <span class="soft">(${new URL(docsUrl).hostname}, in a new tab)</span></p>`;
}

export function notesOf({ notes }: ProviderTemplate): Html | undefined {
  if (notes.length === 0) return undefined;
  return html`<ul class="notes">
${notes.map((note) => html`<li>${note}</li>`)}
</ul>`;
}
