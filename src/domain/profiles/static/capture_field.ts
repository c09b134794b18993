/** A field of the capture form, as a person sees it. All texts are those of a profile: untrusted. */
export interface CaptureField {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** `fixed` has one value, `choice` one of `choices`. */
  readonly kind: "text" | "secret" | "choice" | "fixed";
  readonly choices: readonly string[];
  /** What a text is (JSON Schema 2020-12, section 7.3); `none` when anything goes. */
  readonly format: "none" | "email" | "uri" | "date";
  readonly isRequired: boolean;
  /** What a value must look like, in technical words; empty when anything goes. */
  readonly hint: string;
  /** What was entered, or the default; always empty for a secret. */
  readonly value: string;
  /** One sentence; undefined when nothing is wrong. */
  readonly violation: string | undefined;
}

/** Under this name the form sends its token, so no property of a schema may have it. */
export const formTokenField = "nexus-csrf";
