// Copied from src/strategies/credential_fields.ts by `npm run generate`; edit that.
import { StrategyError } from "./strategy_error.js";

/** The credentials of a connection, by the names of their fields. What is not text counts as missing. */
export type Credentials = Readonly<Record<string, unknown>>;

/** @throws StrategyError when the field is missing or, unless it may be, empty */
export function readCredential(
  credentials: Credentials,
  field: string,
  options: { readonly mayBeEmpty: boolean } = { mayBeEmpty: false },
): string {
  const value = Object.hasOwn(credentials, field) ? credentials[field] : undefined;
  if (typeof value !== "string") {
    throw new StrategyError("missing_credential", field, "the credentials have no such field");
  }
  if (value === "" && !options.mayBeEmpty) throw new StrategyError("invalid_credential", field, "is empty");
  return value;
}

/** @throws StrategyError when `text` could end a header line, or is not what every HTTP library sends alike */
export function refuseHeaderViolations(text: string, field: string): void {
  refuseControls(text, field);
  if (/[^ -~]/.test(text)) {
    throw new StrategyError("invalid_credential", field, "must be printable ASCII: it is sent in a header");
  }
}

export function refuseControls(text: string, field: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    const description = "must not hold line breaks or other control characters";
    throw new StrategyError("invalid_credential", field, description);
  }
}
