import type { Children, View } from "./view.js";

/** One field of a form. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly value?: string | undefined;
  readonly hint?: View;
  /** What is wrong with what was sent. */
  readonly error?: string | undefined;
  readonly required?: boolean;
  readonly maxLength?: number;
}

const asTyped = { spellcheck: false, autocapitalize: "none" } as const;

/** A `password` never has a value. */
export function Input(field: Field & { readonly type?: "text" | "password" | "url" }) {
  const { type = "text", value = "", maxLength = 2048 } = field;
  const kept = type === "password" ? { autocomplete: "new-password" } : { autocomplete: "off", value };
  return (
    <Labelled field={field}>
      <input type={type} maxlength={maxLength} {...kept} {...asTyped} {...attributesOf(field)} />
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

function attributesOf({ name, hint, error, required }: Field) {
  const id = `field-${name}`;
  const notes = [...(hint !== undefined ? [`${id}-hint`] : []), ...(error ? [`${id}-error`] : [])];
  return {
    ...{ id, name, ...(required && { required }) },
    ...(notes.length > 0 && { "aria-describedby": notes.join(" ") }),
    ...(error !== undefined && { "aria-invalid": "true" as const }),
  };
}

function Labelled({ field, children }: Children & { readonly field: Field }) {
  const { name, label, hint, error } = field;
  const id = `field-${name}`;
  return (
    <div class={error === undefined ? "field" : "field invalid"}>
      <label for={id}>{label}</label>
      {hint !== undefined && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      {error && <p class="violation" id={`${id}-error`}><span class="hidden">Error: </span>{error}</p>}
      {children}
    </div>
  );
}

/** A text to be copied; without scripts it is selected by hand. */
export function CopyField({
  id,
  label,
  value,
}: {
  readonly id: string;
  readonly label: View;
  readonly value: string;
}) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="copy">
        <input id={id} class="mono" readonly value={value} autocomplete="off" spellcheck={false} />{" "}
        <CopyButton text={value} />
      </div>
    </div>
  );
}

export function CopyButton({ text, label = "Copy" }: { readonly text: string; readonly label?: string }) {
  return <button type="button" class="quiet small" data-copy={text} hidden>{label}</button>;
}
