import type { CaptureError, CaptureForm } from "../../domain/consent/consent_types.js";
import { type CaptureField, formTokenField } from "../../domain/providers/static/capture_field.js";
import type { Answer } from "../listen/http_listener.js";
import { type Html, html, joined } from "./html.js";
import { askerObject, type DescribeProvider, returnSentence, tileOf } from "./page_words.js";
import { htmlDocument, htmlHeaders, safeHeaders } from "./pages.js";

/** The status of a form that has to be sent again, and what is said of it as a whole. */
const errors: Readonly<
  Record<CaptureError, { readonly status: 422 | 503; readonly violation?: (providerName: string) => string }>
> = {
  invalid: { status: 422 },
  rejected: {
    status: 422,
    violation: (name) => `${name} did not accept these values. Check them and enter them once more.`,
  },
  not_asked: {
    status: 503,
    violation: (name) =>
      `${name} could not be asked whether these values are right. Wait a minute and enter them again.`,
  },
};

/**
 * The form in which a person enters a static credential. It works without scripts, and the daemon judges it, not the browser:
 * so every browser shows the same errors in the same words, beside their fields.
 *
 * @param error of a form that was sent and has to be fixed
 * @param action path and query that it is sent to
 * @param describe the provider in words
 */
export function captureFormPage(
  form: CaptureForm,
  error: CaptureError | undefined,
  action: string,
  describe: DescribeProvider,
): Answer {
  const { status, violation } = error === undefined ? { status: 200 } : errors[error];
  const { displayName, docsUrl } = describe(form);
  const heading = form.title === "" ? `Connect ${displayName}` : form.title;
  const content = html`<main class="form">
${tileOf(displayName)}
<h1 dir="auto">${heading}</h1>
${introduction(form, displayName)}
${docsUrl && docsLink(docsUrl, displayName)}
${error && summary(form, violation?.(displayName))}
<form method="post" action="${action}" novalidate autocomplete="off">
<input type="hidden" name="${formTokenField}" value="${form.formToken}">
${form.fields.some(({ isRequired }) => isRequired) ? legend : undefined}
${form.fields.map(field)}
<button type="submit">Connect</button>
</form>
<p class="note">Stored encrypted, for ${askerObject(form)}.${returnSentence(form)}</p>
</main>`;
  const title = `${error === undefined ? "" : "Error: "}${heading}`;
  return {
    status,
    headers: { ...htmlHeaders, ...formHeaders(form.returnUrl) },
    body: htmlDocument(title, content),
  };
}

const legend = html`<p class="note">Fields marked <span class="required">*</span> are needed.</p>`;

/**
 * Chromium holds `form-action` against every redirect that follows a form (CSP 3, section 6.4.1.2), those of the application that
 * gets the browser back included, and where these lead nobody here knows: so the scheme of the return URL is allowed, and only when
 * there is one. With `no-referrer` a form would be sent with `Origin: null` (Fetch, section 3.2).
 */
export function formHeaders(returnUrl: string | undefined): Record<string, string> {
  const further = returnUrl === undefined ? "" : ` ${new URL(returnUrl).protocol}`;
  return {
    "content-security-policy": safeHeaders["content-security-policy"].replace(
      "form-action 'none'",
      `form-action 'self'${further}`,
    ),
    "referrer-policy": "same-origin",
  };
}

/** In a tab of its own, so that what was entered stays. */
function docsLink(docsUrl: string, provider: string): Html {
  const host = new URL(docsUrl).hostname;
  return html`<p class="note"><a href="${docsUrl}" target="_blank" rel="noopener noreferrer">Where do I find this at ${provider}?</a> <span class="optional">(${host}, in a new tab)</span></p>`;
}

function introduction({ title, description }: CaptureForm, providerName: string): Html {
  const asked = title === "" ? "" : ` for ${providerName}`;
  const text =
    description === "" ? `Enter what you were given${asked || ` by ${providerName}`}.` : description;
  const isNamed = title !== "" && description !== "";
  return html`${isNamed ? html`<p class="note">Provider: ${providerName}</p>\n` : undefined}<p class="prose" dir="auto">${text}</p>`;
}

function summary({ fields, violations }: CaptureForm, violation: string | undefined): Html {
  const general = [...(violation === undefined ? [] : [violation]), ...violations];
  const ofFields = fields.flatMap(({ violation: text }, index) =>
    text === undefined ? [] : [html`<li dir="auto"><a href="#${idOf(index)}">${text}</a></li>`],
  );
  return html`<div class="summary" role="alert" aria-labelledby="summary-title" tabindex="-1" autofocus>
<h2 id="summary-title">Not connected yet</h2>
<ul>
${[...general.map((text) => html`<li dir="auto">${text}</li>`), ...ofFields]}
</ul>
</div>`;
}

interface Note {
  readonly id: string;
  readonly kind: "about" | "hint" | "violation";
  readonly text: string;
}

function notesOf({ description, hint, violation }: CaptureField, id: string): Note[] {
  const about: Note[] = description === "" ? [] : [{ id: `${id}-about`, kind: "about", text: description }];
  // A description says it better; then the hint is a tooltip only.
  const hints: Note[] =
    hint === "" || description !== "" ? [] : [{ id: `${id}-hint`, kind: "hint", text: hint }];
  const errors: Note[] =
    violation === undefined ? [] : [{ id: `${id}-error`, kind: "violation", text: violation }];
  return [...about, ...hints, ...errors];
}

function field(one: CaptureField, index: number, fields: readonly CaptureField[]): Html {
  const id = idOf(index);
  const notes = notesOf(one, id);
  const isFirst = index === 0 && fields.every(({ violation }) => violation === undefined);
  const isInvalid = one.violation !== undefined;
  const attributes = html`id="${id}" name="${one.name}" autocomplete="off"${one.isRequired ? " required" : ""}${
    one.hint === "" ? undefined : html` title="${one.hint}"`
  }${notes.length === 0 ? undefined : html` aria-describedby="${notes.map((note) => note.id).join(" ")}"`}${
    isInvalid ? html` aria-invalid="true"` : undefined
  }${isFirst ? " autofocus" : ""}`;
  const optional =
    one.isRequired || one.kind === "fixed" ? undefined : html` <span class="optional">(optional)</span>`;
  const mark = one.isRequired ? html` <span class="required" aria-hidden="true">*</span>` : undefined;
  return html`<div class="field${isInvalid ? " invalid" : ""}">
<label for="${id}"><bdi>${one.label}</bdi>${mark}${optional}</label>
${[...notes.map(noteOf), control(one, attributes)]}
</div>`;
}

function noteOf({ id, kind, text }: Note): Html {
  const prefix = kind === "violation" ? html`<span class="hidden">Error: </span>` : undefined;
  return html`<p class="${kind}" id="${id}" dir="auto">${prefix}${text}</p>`;
}

/** Types of HTML, for the keyboard of a phone. */
const inputTypes: Readonly<Record<CaptureField["format"], string>> = {
  none: "text",
  email: "email",
  uri: "url",
  date: "date",
};

const plain = html`spellcheck="false" autocapitalize="none" autocorrect="off"`;

function control({ kind, format, choices, value, isRequired }: CaptureField, attributes: Html): Html {
  switch (kind) {
    case "choice": {
      const none = isRequired && value !== "" ? undefined : html`<option value="">Choose</option>`;
      return html`<select ${attributes}>${none}${joined(
        choices.map((choice) => option(choice, choice === value)),
        "",
      )}</select>`;
    }
    case "fixed":
      return html`<input type="text" readonly value="${value}" ${attributes}>`;
    case "secret":
      return html`<input type="password" ${plain} ${attributes}>`;
    case "text":
      return html`<input type="${inputTypes[format]}" value="${value}" ${plain} ${attributes}>`;
  }
}

function option(choice: string, isChosen: boolean): Html {
  return html`<option value="${choice}"${isChosen ? " selected" : ""}>${choice === "" ? "(empty)" : choice}</option>`;
}

function idOf(index: number): string {
  return `field-${index}`;
}
