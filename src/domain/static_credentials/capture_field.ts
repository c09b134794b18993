/** A field of the capture form, as a person sees it. All texts are those of a profile: untrusted. */
export interface CaptureField {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** `fixed` has one value, `choice` one of `choices`. */
  readonly kind: "text" | "secret" | "choice" | "fixed";
  readonly choices: readonly string[];
  /** Of HTML, for the keyboard of a phone. */
  readonly inputType: "text" | "email" | "url" | "date";
  readonly isRequired: boolean;
  /** What a value must look like, in technical words; empty when anything goes. */
  readonly hint: string;
  /** What was entered, or the default; always empty for a secret. */
  readonly value: string;
  /** One sentence; undefined when nothing is wrong. */
  readonly violation: string | undefined;
}

/** Field of the form that brings back `CaptureForm.csrf`. */
export const csrfField = "nexus-csrf";
