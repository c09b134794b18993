import type { StepUpRequest } from "../../domain/consent/consent_types.js";
import { formTokenField } from "../../domain/providers/static/capture_field.js";
import type { Answer } from "../listen/http_listener.js";
import { formHeaders } from "./capture_form.js";
import { type Html, html } from "./html.js";
import { askerSubject, type DescribeProvider, returnSentence, tileOf } from "./page_words.js";
import { htmlDocument, htmlHeaders } from "./pages.js";

/** Where the button leads: the request to the provider is made, and pushed, when it is pressed. */
export const agreedPath = "/auth/continue";
/** Where the form that says no is sent. */
export const declinePath = "/auth/decline";

/**
 * What an application asks for after an API refused it, before the provider asks the person: the API chose the scopes, and nobody has
 * looked at them yet.
 *
 * @param state of the request
 */
export function stepUpPage(request: StepUpRequest, state: string, describe: DescribeProvider): Answer {
  const { missing, others } = request;
  const provider = describe(request).displayName;
  const title = "Allow more access?";
  const query = new URLSearchParams({ state }).toString();
  const content = html`<main class="form">
${tileOf(provider)}
<h1>${title}</h1>
<p>${askerSubject(request)} acts with your account at ${provider}. It was refused there, because ${
    missing.length === 0 ? "what you allowed is not enough for what it does." : "this is missing:"
  }</p>
${listOf(missing)}
${others.length === 0 ? undefined : html`<p>It asks again for what you allowed already:</p>`}
${listOf(others)}
<p>Continue only if you want to allow this: ${provider} asks you next. If you say no, the application goes on with what you allowed before.${returnSentence(request)}</p>
<p><a class="button" id="to-provider" href="${`${agreedPath}?${query}`}">Continue to ${provider}</a></p>
<form method="post" action="${`${declinePath}?${query}`}">
<input type="hidden" name="${formTokenField}" value="${request.formToken}">
<button class="quiet" id="decline" type="submit">No, continue without</button>
</form>
</main>`;
  const headers = { ...htmlHeaders, ...formHeaders(request.returnUrl) };
  return { status: 200, headers, body: htmlDocument(title, content) };
}

function listOf(scopes: readonly string[]): Html | undefined {
  if (scopes.length === 0) return undefined;
  return html`<ul class="scopes">
${scopes.map((scope) => html`<li><code>${scope}</code></li>`)}
</ul>`;
}
