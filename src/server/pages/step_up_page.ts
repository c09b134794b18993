import type { StepUpRequest } from "../../domain/consent/consent_types.js";
import type { Answer } from "../listen/http_listener.js";
import { type Html, html } from "./html.js";
import { askerSubject, type DescribeProvider, returnSentence } from "./page_words.js";
import { htmlDocument, htmlHeaders } from "./pages.js";

/**
 * What an application asks for after an API refused it, before the provider asks the person: the API chose the scopes, and nobody has
 * looked at them yet.
 *
 * @param target where the person goes on, within this listener
 */
export function stepUpPage(request: StepUpRequest, target: string, describe: DescribeProvider): Answer {
  const { missing, others } = request;
  const provider = describe(request).displayName;
  const title = "Allow more access?";
  const content = html`<main class="form">
<h1>${title}</h1>
<p>${askerSubject(request)} acts with your account at ${provider}. It was refused there, because ${
    missing.length === 0 ? "what you allowed is not enough for what it does." : "this is missing:"
  }</p>
${listOf(missing)}
${others.length === 0 ? undefined : html`<p>It asks again for what you allowed already:</p>`}
${listOf(others)}
<p>Continue only if you want to allow this: ${provider} asks you next. If you do not, close this window; the application goes on with what it has.${returnSentence(request)}</p>
<p><a class="button" id="to-provider" href="${target}">Continue to ${provider}</a></p>
</main>`;
  return { status: 200, headers: htmlHeaders, body: htmlDocument(title, content) };
}

function listOf(scopes: readonly string[]): Html | undefined {
  if (scopes.length === 0) return undefined;
  return html`<ul class="scopes">
${scopes.map((scope) => html`<li><code>${scope}</code></li>`)}
</ul>`;
}
