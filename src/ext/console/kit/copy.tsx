import type { View } from "../../../server/pages/kit.js";

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

/** An identifier, with a button that copies it. */
export function Id({ of }: { readonly of: string }) {
  return <><code>{of}</code> <CopyButton text={of} /></>;
}

export function CopyButton({ text, label = "Copy" }: { readonly text: string; readonly label?: string }) {
  return <button type="button" class="quiet small" data-copy={text} hidden>{label}</button>;
}
