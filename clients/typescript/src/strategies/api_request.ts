// Copied from src/strategies/api_request.ts by `npm run generate`; edit that.
/** What can be signed: text goes as UTF-8. */
export type RequestBody = string | Uint8Array;

/** A request of an agent to a provider's API. */
export interface ApiRequest<Body extends RequestBody = RequestBody> {
  readonly method: string;
  /** Absolute, as it goes over the wire. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>> | Iterable<readonly [string, string]>;
  readonly body?: Body | undefined;
}

/** The request with the credential in it, for `fetch(request.url, request)`. */
export interface AuthorizedRequest<Body extends RequestBody = RequestBody> {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: Body;
}

/** The same request as an object of its own. */
export function copied<Body extends RequestBody>(request: ApiRequest<Body>): AuthorizedRequest<Body> {
  const { method, url, headers, body } = request;
  const entries = Symbol.iterator in headers ? headers : Object.entries(headers);
  const own = { method, url, headers: Object.fromEntries(entries) };
  return body === undefined ? own : { ...own, body };
}

/** Sets a header instead of those of that name, whatever their case. */
export function withHeader<Body extends RequestBody>(
  request: AuthorizedRequest<Body>,
  name: string,
  value: string,
): AuthorizedRequest<Body> {
  const lower = name.toLowerCase();
  const others = Object.entries(request.headers).filter(([other]) => other.toLowerCase() !== lower);
  return { ...request, headers: { ...Object.fromEntries(others), [name]: value } };
}
