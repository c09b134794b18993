import type { CaptureForm } from "../../domain/consent/consent_types.js";
import { type CaptureField, csrfField } from "../../domain/static_credentials/capture_field.js";
import type { Answer } from "../listen/http_listener.js";
import { escapeHtml, htmlDocument, safeHeaders } from "./pages.js";

/**
 * The form in which a person enters a static credential. It works without scripts, and the daemon judges it, not the browser:
 * so every browser shows the same errors in the same words, beside their fields.
 *
 * @param action path and query that it is sent to
 */
export function captureFormPage(status: 200 | 422 | 503, form: CaptureForm, action: string): Answer {
  const isInvalid = status !== 200;
  const heading = form.title === "" ? `Connect ${form.providerName}` : form.title;
  const content = `<main class="form">
<h1 dir="auto">${escapeHtml(heading)}</h1>
${introduction(form)}
${isInvalid ? summary(form) : ""}
<form method="post" action="${escapeHtml(action)}" novalidate autocomplete="off">
<input type="hidden" name="${csrfField}" value="${escapeHtml(form.csrf)}">
${form.fields.some(({ isRequired }) => isRequired) ? legend : ""}
${form.fields.map(field).join("\n")}
<button type="submit">Connect</button>
</form>
<p class="note">Stored encrypted, for the application that sent you here.</p>
</main>`;
  const headers = {
    ...safeHeaders,
    ...formHeaders(form.returnUrl),
    "content-type": "text/html; charset=utf-8",
  };
  const title = `${isInvalid ? "Error: " : ""}${heading}`;
  return { status, headers, body: htmlDocument(title, content) };
}

const legend = '<p class="note">Fields marked <span class="required">*</span> are needed.</p>';

/**
 * Chromium holds `form-action` against every redirect that follows a form (CSP 3, section 6.4.1.2), those of the application that
 * gets the browser back included, and where these lead nobody here knows: so the scheme of the return URL is allowed, and only when
 * there is one. With `no-referrer` a form would be sent with `Origin: null` (Fetch, section 3.2).
 */
function formHeaders(returnUrl: string | undefined): Record<string, string> {
  const further = returnUrl === undefined ? "" : ` ${new URL(returnUrl).protocol}`;
  return {
    "content-security-policy": safeHeaders["content-security-policy"].replace(
      "form-action 'none'",
      `form-action 'self'${further}`,
    ),
    "referrer-policy": "same-origin",
  };
}

function introduction({ title, description, providerName }: CaptureForm): string {
  const asked = title === "" ? "" : ` for ${providerName}`;
  const text =
    description === "" ? `Enter what you were given${asked || ` by ${providerName}`}.` : description;
  const provider =
    title === "" || description === "" ? "" : `<p class="note">Provider: ${escapeHtml(providerName)}</p>\n`;
  return `${provider}<p class="prose" dir="auto">${escapeHtml(text)}</p>`;
}

function summary({ fields, violations }: CaptureForm): string {
  const general = violations.map((violation) => `<li dir="auto">${escapeHtml(violation)}</li>`);
  const ofFields = fields.flatMap(({ violation }, index) =>
    violation === undefined
      ? []
      : [`<li dir="auto"><a href="#${idOf(index)}">${escapeHtml(violation)}</a></li>`],
  );
  return `<div class="summary" role="alert" aria-labelledby="summary-title" tabindex="-1" autofocus>
<h2 id="summary-title">Not connected yet</h2>
<ul>
${[...general, ...ofFields].join("\n")}
</ul>
</div>`;
}

function field(one: CaptureField, index: number, fields: readonly CaptureField[]): string {
  const id = idOf(index);
  const notes = [
    one.description === "" ? undefined : { id: `${id}-about`, kind: "about", text: one.description },
    // A description says it better; then the hint is a tooltip only.
    one.hint === "" || one.description !== ""
      ? undefined
      : { id: `${id}-hint`, kind: "hint", text: one.hint },
    one.violation === undefined ? undefined : { id: `${id}-error`, kind: "violation", text: one.violation },
  ].filter((note) => note !== undefined);
  const isInvalid = fields.some(({ violation }) => violation !== undefined);
  const attributes = [
    `id="${id}"`,
    `name="${escapeHtml(one.name)}"`,
    'autocomplete="off"',
    one.isRequired ? "required" : "",
    one.hint === "" ? "" : `title="${escapeHtml(one.hint)}"`,
    notes.length === 0 ? "" : `aria-describedby="${notes.map((note) => note.id).join(" ")}"`,
    one.violation === undefined ? "" : 'aria-invalid="true"',
    index === 0 && !isInvalid ? "autofocus" : "",
  ].filter((attribute) => attribute !== "");
  const optional = one.isRequired || one.kind === "fixed" ? "" : ' <span class="optional">(optional)</span>';
  const mark = one.isRequired ? ' <span class="required" aria-hidden="true">*</span>' : "";
  const above = notes.filter(({ kind }) => kind !== "violation").map(noteOf);
  const violation = notes.filter(({ kind }) => kind === "violation").map(noteOf);
  return `<div class="field${one.violation === undefined ? "" : " invalid"}">
<label for="${id}"><bdi>${escapeHtml(one.label)}</bdi>${mark}${optional}</label>
${[...above, ...violation, control(one, attributes.join(" "))].join("\n")}
</div>`;
}

function noteOf({ id, kind, text }: { id: string; kind: string; text: string }): string {
  const prefix = kind === "violation" ? '<span class="hidden">Error: </span>' : "";
  return `<p class="${kind}" id="${id}" dir="auto">${prefix}${escapeHtml(text)}</p>`;
}

function control({ kind, inputType, choices, value, isRequired }: CaptureField, attributes: string): string {
  const plain = 'spellcheck="false" autocapitalize="none" autocorrect="off"';
  switch (kind) {
    case "choice": {
      const none = isRequired && value !== "" ? "" : '<option value="">Choose</option>';
      return `<select ${attributes}>${none}${choices.map((choice) => option(choice, choice === value)).join("")}</select>`;
    }
    case "fixed":
      return `<input type="text" readonly value="${escapeHtml(value)}" ${attributes}>`;
    case "secret":
      return `<input type="password" ${plain} ${attributes}>`;
    case "text":
      return `<input type="${inputType}" value="${escapeHtml(value)}" ${plain} ${attributes}>`;
  }
}

function option(choice: string, isChosen: boolean): string {
  const text = escapeHtml(choice);
  return `<option value="${text}"${isChosen ? " selected" : ""}>${text === "" ? "(empty)" : text}</option>`;
}

function idOf(index: number): string {
  return `field-${index}`;
}
