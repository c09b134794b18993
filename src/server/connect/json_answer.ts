import type { OutgoingHttpHeaders } from "node:http";
import type { JsonValue } from "../../model/json.js";

/** What both generations of HTTP have of a response. */
interface Answerable {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  end(): unknown;
  end(body: string): unknown;
}

/** Answers `{"error": word, "code": word, "message": sentence}`, unless an answer is under way. */
export function answerJson(
  response: Answerable,
  status: number,
  error: string,
  message: string,
  headers: OutgoingHttpHeaders = {},
): void {
  writeJson(response, status, { error, code: error, message }, { headers });
}

/** Answers `body`, unless an answer is under way; only its headers to a `HEAD`. */
export function writeJson(
  response: Answerable,
  status: number,
  body: JsonValue,
  more: { readonly headers?: OutgoingHttpHeaders; readonly headOnly?: boolean } = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    ...more.headers,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  if (more.headOnly === true) response.end();
  else response.end(text);
}

/** Answers 415 as text: in what form the caller reads errors its content type did not say, and as JSON it would be one of Connect's. */
export function answerMediaType(response: Answerable, message: string): void {
  answerText(response, 415, message, {});
}

export function answerMethod(response: Answerable, allowed: readonly string[]): void {
  const methods = allowed.join(", ");
  answerText(response, 405, `this RPC is called by ${methods}`, { allow: methods });
}

function answerText(
  response: Answerable,
  status: number,
  message: string,
  headers: OutgoingHttpHeaders,
): void {
  if (response.headersSent || response.destroyed) return;
  const text = `${message}\n`;
  response.writeHead(status, {
    ...headers,
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}
