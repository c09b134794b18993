import type { CaptureError, CaptureForm } from "../../domain/consent/consent.js";
import { type CaptureField, formTokenField } from "../../domain/profiles/profiles.js";
import type { HttpAnswer } from "../listen/http_listener.js";
import { type Field, Input, Select } from "../views/fields.js";
import { Facts, type View } from "../views/view.js";
import { askerFacts, type DescribeProvider, ReturnSentence } from "./page_words.js";
import { personPage, safeHeaders } from "./pages.js";

/** The status of a form that has to be sent again, and what is reported of it as a whole. */
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
): HttpAnswer {
  const { status, violation } = error === undefined ? { status: 200 } : errors[error];
  const { displayName, docsUrl } = describe(form);
  const title = form.title === "" ? `Connect ${displayName}` : form.title;
  const content = (
    <>
      {introduction(form, displayName)}
      <Facts of={askerFacts(form)} />
      {docsUrl !== undefined && (
        // In a tab of its own, so that what was entered stays.
        <p class="note">
          <a href={docsUrl} target="_blank" rel="noopener noreferrer">Where do I find this at {displayName}?</a>{" "}
          <span class="soft">({new URL(docsUrl).hostname}, in a new tab)</span>
        </p>
      )}
      {error && <Summary form={form} violation={violation?.(displayName)} />}
      <form method="post" action={action} novalidate autocomplete="off">
        <input type="hidden" name={formTokenField} value={form.formToken} />
        {form.fields.map(control)}
        <button type="submit">Connect</button>
      </form>
      <p class="note">
        Stored encrypted, for the application that asked for it.<ReturnSentence {...form} />
      </p>
    </>
  );
  return personPage({
    ...{ title, windowTitle: `${error === undefined ? "" : "Error: "}${title}`, provider: displayName },
    ...{ content, status, headers: formHeaders(form.returnUrl) },
  });
}

/**
 * Chromium applies `form-action` to every redirect that follows a form (CSP 3, section 6.4.1.2), including those of the application that
 * gets the browser back. The daemon does not know where these lead, so it allows the scheme of the return URL, if there is one. With
 * `no-referrer` a form would be sent with `Origin: null` (Fetch, section 3.2).
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

function introduction({ title, description }: CaptureForm, provider: string): View {
  if (description === "") return <p>Enter your credential for {provider}.</p>;
  return (
    <>
      {title !== "" && <p class="note">Provider: {provider}</p>}
      <p class="prose" dir="auto">{description}</p>
    </>
  );
}

function Summary({ form, violation }: { readonly form: CaptureForm; readonly violation: string | undefined }) {
  const { fields, violations } = form;
  const general = [...(violation === undefined ? [] : [violation]), ...violations];
  return (
    <div class="summary" role="alert" aria-labelledby="summary-title" tabindex={-1} autofocus>
      <h2 id="summary-title">Not connected yet</h2>
      <ul>
        {general.map((text) => <li dir="auto">{text}</li>)}
        {fields.map(
          ({ violation: text }, index) =>
            text !== undefined && <li dir="auto"><a href={`#${idOf(index)}`}>{text}</a></li>,
        )}
      </ul>
    </div>
  );
}

/** Types of HTML, for the keyboard of a phone. */
const inputTypes = { none: "text", email: "email", uri: "url", date: "date" } as const;

function control(one: CaptureField, index: number, fields: readonly CaptureField[]): View {
  const { kind, format, name, description, hint, choices, value, violation, isRequired } = one;
  const field: Field = {
    ...{ id: idOf(index), name, value, error: violation, required: isRequired, title: hint || undefined },
    label: <><bdi>{one.label}</bdi>{!isRequired && kind !== "fixed" && <span class="soft"> (optional)</span>}</>,
    // A description says it better; then the hint is a tooltip only.
    hint: description || hint || undefined,
    autofocus: index === 0 && fields.every((each) => each.violation === undefined),
  };
  if (kind === "choice") {
    const none = isRequired && value !== "" ? [] : [["", "Choose"] as const];
    return <Select {...field} options={[...none, ...choices.map((each) => [each, each || "(empty)"] as const)]} />;
  }
  return <Input {...field} readonly={kind === "fixed"} type={kind === "secret" ? "password" : kind === "text" ? inputTypes[format] : "text"} />;
}

function idOf(index: number): string {
  return `field-${index}`;
}
