import type { JsonValue } from "../../../model/json.js";
import { isJsonObject } from "../../../model/json_fields.js";
import { restError } from "../../../service/pipeline/rest_error.js";

/** What a call was refused with, for a person. */
export interface ConsoleError {
  readonly status: number;
  /** A sentence. */
  readonly message: string;
}

/** @throws what no table foresees: an error of the daemon */
export function consoleError(error: unknown): ConsoleError {
  const { status, body } = restError(error);
  return { status, message: sentence((body as { readonly message: string }).message) };
}

export function Problem({ message }: { readonly message: string }) {
  return <p class="problem" role="alert">{message}</p>;
}

/** Why an RPC refused what a form sent, for the form to be shown again. */
export interface FormErrors {
  readonly status: number;
  /** What is wrong with a field, by its path in the request; what stands below it is its error too. Each is shown once. */
  take(field: string): string | undefined;
  /** What no field took. */
  rest(): readonly string[];
}

/** What was sent, and why it was refused. */
export interface Sent {
  readonly form: URLSearchParams;
  readonly errors: FormErrors;
}

/** Of a form that was not sent yet. */
export const noErrors: FormErrors = { status: 200, take: () => undefined, rest: () => [] };

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

/** Above a form that has to be sent again. Rendered after its fields, which take their errors: `rest` is what no field says. */
export function ErrorSummary({ rest }: { readonly rest: readonly string[] }) {
  const lines = rest.length === 0 ? ["Look at the fields that are marked."] : rest;
  return (
    <div class="problem" role="alert">
      <p><b>Nothing was changed.</b></p>
      <ul>{lines.map((line) => <li>{line}</li>)}</ul>
    </div>
  );
}

/** Messages of errors begin with a small letter and have no end. */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
