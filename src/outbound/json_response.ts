import type { OutboundRequest } from "./outbound_fetch.js";

interface JsonResponseInit {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An answer for `oauth4webapi`, whose JSON is at hand: nothing is written out, put into a stream and parsed again. No class of its own: Node
 * loads what `Response` needs when that is first named, which a daemon that calls no provider never does.
 */
export function jsonResponse(value: object, init: JsonResponseInit = {}): Response {
  const headers = { ...init.headers, "content-type": "application/json" };
  return Object.assign(new Response(null, { ...init, headers }), {
    // A copy: the library writes to what it gets.
    json: () => Promise.resolve({ ...value }),
    clone: () => jsonResponse(value, init),
  });
}

/** What of a form is no secret, and may be quoted from the words of its receiver. */
const openFields = new Set([
  "client_assertion_type",
  "client_id",
  "grant_type",
  "redirect_uri",
  "requested_token_use",
  "resource",
  "response_type",
  "scope",
]);

/** Shorter values are parts of words. */
const minLength = 6;

/** A text of the answer to a request, without what the request held in secret. */
export function withoutEchoes(text: string, { body, headers }: OutboundRequest): string {
  const form = [...new URLSearchParams(typeof body === "string" ? "" : body)];
  const sent = form.flatMap(([name, value]) => (openFields.has(name) ? [] : [value]));
  const [scheme = "", credentials = ""] = (headers["authorization"] ?? "").split(" ");
  const pair = scheme === "Basic" ? Buffer.from(credentials, "base64").toString() : "";
  const halves = new URLSearchParams(`a=${pair.slice(pair.indexOf(":") + 1)}`);
  return [...sent, credentials, pair.slice(pair.indexOf(":") + 1), halves.get("a") ?? ""]
    .filter((value) => value.length >= minLength)
    .reduce((left, value) => left.replaceAll(value, "[redacted]"), text);
}
