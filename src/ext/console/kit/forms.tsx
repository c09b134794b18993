import type { Answer } from "../../../server/listen/http_listener.js";
import type { Field } from "../../../server/views/fields.js";
import { FormButtons } from "../../../server/views/parts.js";
import type { Children, View } from "../../../server/views/view.js";
import { ErrorSummary, type Sent } from "./errors.js";
import { consolePage, PostForm } from "./page.js";
import type { PageRequest } from "./request.js";

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

export function fieldsOf(sent: Sent | undefined): MakeField {
  return (name, label, { at = name, value, ...more } = {}) => ({
    ...{ name, label, value: sent?.form.get(name) ?? value, error: sent?.errors.take(at) },
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
  readonly sent?: Sent | undefined;
  /** Over the fields. */
  readonly heading?: string;
  /** What stands beside the form. */
  readonly aside?: View;
}

/** A page of one form, with what was wrong with what was sent. */
export function formPage(request: PageRequest, page: FormPage): Answer {
  const { title, section, action, submit, cancel, fields, sent, heading, aside } = page;
  const content = (
    <div class={aside === undefined || aside === false ? "narrow" : "split"}>
      <div>
        {sent && <ErrorSummary rest={sent.errors.rest()} />}
        <PostForm request={request} action={action} class="card">
          {heading !== undefined && <h2>{heading}</h2>}
          {fields}
          <FormButtons text={submit} cancel={cancel} />
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
