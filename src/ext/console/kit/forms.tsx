import { isJsonObject, type JsonValue } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import type { Children, Field, View } from "../../../server/pages/kit.js";
import { restError } from "../../../service/service.js";
import { consolePage, PostForm } from "./page.js";
import { Go } from "./parts.js";
import type { PageRequest } from "./request.js";

/** Why a call was refused, in a sentence. @throws an error of the daemon itself, which no table foresees */
export function consoleError(error: unknown) {
  const { status, body } = restError(error);
  return { status, message: sentence((body as { readonly message: string }).message) };
}

export function Problem({ message }: { readonly message: string }) {
  return <p class="problem" role="alert">{message}</p>;
}

/** Why an RPC refused what a form sent, for the page that repeats the form. */
export interface FormErrors {
  readonly status: number;
  /** What is wrong with a field, by its path in the request; what stands below it is its error too. Each is rendered once. */
  take(field: string): string | undefined;
  /** What no field took. */
  rest(): readonly string[];
}

/** What was sent, and why it was refused. */
export interface SentForm {
  readonly form: URLSearchParams;
  readonly errors: FormErrors;
}

/** What the person can fix. @throws the error when it is another: who calls, or what went wrong in the daemon */
export function formErrors(thrown: unknown): FormErrors {
  const { status, body } = restError(thrown);
  if (![400, 404, 409].includes(status) || !isJsonObject(body)) throw thrown;
  const { details, message = "" } = body;
  const reported: readonly JsonValue[] = Array.isArray(details) ? details : [{ description: message }];
  const left = new Set(
    reported
      .filter(isJsonObject)
      .map(({ field = "", description }) => ({ at: String(field), text: sentence(String(description)) })),
  );
  return {
    status,
    take: (field) => {
      const found = [...left].filter(({ at }) => at === field || at.startsWith(`${field}[`));
      for (const each of found) left.delete(each);
      return found.map(({ text }) => text).join(" ") || undefined;
    },
    rest: () => [...left].map(({ at, text }) => (at === "" ? text : `${at}: ${text}`)),
  };
}

/** Messages of errors begin with a small letter and have no end. */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Makes the fields of a form, each with what was sent or else its value, and what is wrong with it. */
export type MakeField = (
  name: string,
  label: View,
  more?: Partial<Omit<Field, "value">> & {
    readonly value?: string | undefined;
    /** Where the request has it, when that is called otherwise. */
    readonly at?: string;
  },
) => Field;

/** @param sent without errors where it is what the form begins with */
export function fieldsOf(
  sent: { readonly form: URLSearchParams; readonly errors?: FormErrors } | undefined,
): MakeField {
  return (name, label, { at = name, value, ...more } = {}) => ({
    ...{ name, label, value: sent?.form.get(name) ?? value, error: sent?.errors?.take(at) },
    ...more,
  });
}

interface FormPage {
  readonly title: string;
  readonly section: string;
  readonly action: string;
  readonly submit: string;
  readonly cancel: string;
  readonly fields: View;
  readonly sent?: SentForm | undefined;
  /** Over the fields. */
  readonly heading?: string;
  /** What stands beside the form. */
  readonly aside?: View;
  /** What did not happen where something is wrong with what was sent. */
  readonly refused?: string;
}

/** A page of one form, with what was wrong with what was sent. */
export function formPage(request: PageRequest, page: FormPage): HttpAnswer {
  const { title, section, action, submit, cancel, fields, sent, heading, aside, refused = "Nothing was changed." } = page;
  // The fields have taken their errors by now.
  const rest = sent?.errors.rest() ?? [];
  const lines = rest.length === 0 ? ["Look at the fields that are marked."] : rest;
  const content = (
    <div class={aside === undefined || aside === false ? "narrow" : "split"}>
      <div>
        {sent && (
          <div class="problem" role="alert">
            <p><b>{refused}</b></p>
            <ul>{lines.map((line) => <li>{line}</li>)}</ul>
          </div>
        )}
        <PostForm request={request} action={action} class="card">
          {heading !== undefined && <h2>{heading}</h2>}
          {fields}
          <div class="actions">
            <button type="submit">{submit}</button>
            <Go to={cancel} text="Cancel" kind="quiet" />
          </div>
        </PostForm>
      </div>
      {aside}
    </div>
  );
  return consolePage(request, { title, section, content, status: sent?.errors.status ?? 200 });
}

interface Question extends Children {
  /** Of the page. */
  readonly id: string;
  readonly title: View;
  /** On the button that opens it. */
  readonly open: View;
  readonly yes: string;
  /** Where it stands in a form: what that form sends. */
  readonly sends?: { readonly name: string; readonly value: string };
  readonly class?: string;
}

/** A button, and the question that it opens before what cannot be undone; the browser does all of it. */
export function Ask({ id, title, open, yes, sends, class: more = "", children }: Question) {
  return (
    <>
      <button type="button" class={`danger ${more}`} popovertarget={id}>{open}</button>
      <div id={id} popover="auto" role="dialog" aria-labelledby={`${id}-title`} class="card ask">
        <h2 id={`${id}-title`}>{title}</h2>
        {children}
        <div class="actions">
          <button type="submit" class="danger" {...sends}>{yes}</button>
          <button type="button" class="quiet" popovertarget={id} popovertargetaction="hide">Cancel</button>
        </div>
      </div>
    </>
  );
}
