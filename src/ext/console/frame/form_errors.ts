import type { JsonValue } from "../../../model/json.js";
import { isJsonObject } from "../../../model/json_fields.js";
import { type Html, html } from "../../../server/pages/html.js";
import { restError } from "../../../service/pipeline/rest_error.js";

/** Why an RPC refused what a form sent, for the form to be shown again. */
export interface FormErrors {
  readonly status: number;
  /** What is wrong with a field, by its path in the request; what stands below it is its error too. Each is told once. */
  take(field: string): string | undefined;
  /** What no field took. */
  rest(): readonly string[];
}

/** What the person can fix. @throws the error when it is another: who calls, or what went wrong in the daemon */
export function formErrors(thrown: unknown): FormErrors {
  const { status, body } = restError(thrown);
  if (![400, 404, 409].includes(status) || !isJsonObject(body)) throw thrown;
  const { details, message = "" } = body;
  const told: readonly JsonValue[] = Array.isArray(details) ? details : [{ description: message }];
  const errors = told.filter(isJsonObject).map(({ field, description }) => ({
    field: typeof field === "string" ? field : "",
    text: sentence(String(description)),
    isTaken: false,
  }));
  return {
    status,
    take: (field) => {
      const found = errors.filter(
        (error) => !error.isTaken && (error.field === field || error.field.startsWith(`${field}[`)),
      );
      for (const error of found) error.isTaken = true;
      return found.length === 0 ? undefined : found.map(({ text }) => text).join(" ");
    },
    rest: () =>
      errors
        .filter(({ isTaken }) => !isTaken)
        .map(({ field, text }) => (field === "" ? text : `${field}: ${text}`)),
  };
}

/** Above a form that has to be sent again. @param rest what no field says */
export function errorSummary(rest: readonly string[]): Html {
  const lines = rest.length === 0 ? ["Look at the fields that are marked."] : rest;
  return html`<div class="problem" role="alert">
<p><b>Nothing was changed.</b></p>
<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>
</div>`;
}

/** Descriptions begin with a small letter and have no end. */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
