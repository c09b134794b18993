import type { Children, View } from "./view.js";

/** One field of a form. */
export interface Field {
  readonly name: string;
  /** Where the name is somebody else's text. */
  readonly id?: string;
  readonly label: View;
  readonly value?: string | undefined;
  readonly hint?: View;
  readonly title?: string | undefined;
  /** What is wrong with what was sent. */
  readonly error?: string | undefined;
  readonly required?: boolean;
  readonly maxLength?: number;
  readonly autofocus?: boolean;
}

const asTyped = { spellcheck: false, autocapitalize: "none", autocorrect: "off" } as const;

interface InputType {
  readonly type?: "text" | "password" | "url" | "email" | "date" | "datetime-local";
  readonly readonly?: boolean;
}

/** A `password` never has a value. */
export function Input(field: Field & InputType) {
  const { type = "text", readonly = false, value = "", maxLength } = field;
  const kept = type === "password" ? {} : { value };
  const limit = maxLength !== undefined && { maxlength: maxLength };
  return (
    <Labelled field={field}>
      <input {...{ type, ...(readonly && { readonly }), ...limit, ...kept, ...asTyped }} {...attributesOf(field)} />
    </Labelled>
  );
}

/** @param rows lines of text that are seen at once */
export function Area(field: Field & { readonly rows?: number }) {
  return (
    <Labelled field={field}>
      <textarea rows={field.rows ?? 2} {...asTyped} {...attributesOf(field)}>{field.value ?? ""}</textarea>
    </Labelled>
  );
}

/** @param options what is sent, and what a person reads */
export function Select(field: Field & { readonly options: readonly (readonly [string, string])[] }) {
  return (
    <Labelled field={field}>
      <select {...attributesOf(field)}>
        {field.options.map(([value, label]) => (
          <option value={value} selected={value === field.value}>
            {label}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

function attributesOf({ name, id = `field-${name}`, hint, title, error, required, autofocus }: Field) {
  const notes = [...(hint !== undefined ? [`${id}-hint`] : []), ...(error ? [`${id}-error`] : [])];
  return {
    ...{ id, name, autocomplete: "off", title, ...(required && { required }), ...(autofocus && { autofocus }) },
    ...(notes.length > 0 && { "aria-describedby": notes.join(" ") }),
    ...(error !== undefined && { "aria-invalid": "true" as const }),
  };
}

function Labelled({ field, children }: Children & { readonly field: Field }) {
  const { name, id = `field-${name}`, label, hint, error } = field;
  return (
    <div class={error === undefined ? "field" : "field invalid"}>
      <label for={id}>{label}</label>
      {hint !== undefined && <p class="hint" dir="auto" id={`${id}-hint`}>{hint}</p>}
      {error && <p class="violation" dir="auto" id={`${id}-error`}><span class="hidden">Error: </span>{error}</p>}
      {children}
    </div>
  );
}
