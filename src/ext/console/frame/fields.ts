import { type Html, html, joined, type Part } from "../../../server/pages/html.js";

/** One field of a form. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly value?: string | undefined;
  readonly hint?: Part;
  /** What is wrong with what was sent. */
  readonly error?: string | undefined;
  readonly isRequired?: boolean;
  readonly maxLength?: number;
}

/** @param type of the input; a `password` never has a value */
export function inputField(field: Field & { readonly type?: "text" | "password" | "url" }): Html {
  const { type = "text", value = "", maxLength = 2048 } = field;
  const shown = type === "password" ? undefined : html` value="${value}"`;
  const kept = type === "password" ? "new-password" : "off";
  return fieldOf(
    field,
    (attributes) =>
      html`<input type="${type}"${shown} maxlength="${maxLength}" autocomplete="${kept}" spellcheck="false" autocapitalize="none"${attributes}>`,
  );
}

/** @param rows lines of text that are seen at once */
export function areaField(field: Field & { readonly rows?: number }): Html {
  return fieldOf(
    field,
    (attributes) =>
      html`<textarea rows="${field.rows ?? 2}" spellcheck="false" autocapitalize="none"${attributes}>${field.value ?? ""}</textarea>`,
  );
}

/** @param options what is sent, and what a person reads */
export function selectField(
  field: Field & { readonly options: readonly (readonly [value: string, label: string])[] },
): Html {
  const choices = field.options.map(
    ([value, label]) =>
      html`<option value="${value}"${value === field.value ? " selected" : ""}>${label}</option>`,
  );
  return fieldOf(field, (attributes) => html`<select${attributes}>${joined(choices, "")}</select>`);
}

function fieldOf({ name, label, hint, error, isRequired }: Field, control: (attributes: Html) => Html): Html {
  const id = `field-${name}`;
  const notes = [
    ...(hint === undefined ? [] : [{ id: `${id}-hint`, kind: "hint", text: hint }]),
    ...(error === undefined
      ? []
      : [{ id: `${id}-error`, kind: "violation", text: html`<span class="hidden">Error: </span>${error}` }]),
  ];
  const attributes = html` id="${id}" name="${name}"${isRequired ? " required" : ""}${
    notes.length === 0 ? undefined : html` aria-describedby="${notes.map((note) => note.id).join(" ")}"`
  }${error === undefined ? undefined : html` aria-invalid="true"`}`;
  return html`<div class="field${error === undefined ? "" : " invalid"}">
<label for="${id}">${label}</label>
${notes.map((note) => html`<p class="${note.kind}" id="${note.id}">${note.text}</p>`)}
${control(attributes)}
</div>`;
}
