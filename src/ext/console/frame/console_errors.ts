import { type Html, html } from "../../../server/pages/html.js";
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
  const { message } = body as { readonly message: string };
  return { status, message: sentenceOf(message) };
}

export function errorBox({ message }: ConsoleError): Html {
  return html`<p class="problem" role="alert">${message}</p>`;
}

/** Messages of errors begin with a small letter and have no end. */
function sentenceOf(message: string): string {
  const whole = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
