import { Proofs } from "./proofs.js";
import { refusal, type TokenSource } from "./rejection.js";
import type { Token } from "./token.js";

export type Fetch = typeof globalThis.fetch;

/** As browsers have it (Fetch section 4.4). */
const maxRedirects = 20;
const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** A request as it can be sent again. */
interface Sendable {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** Undefined for none. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
}

/** What of a request is the same for each attempt. */
type Rest = Pick<RequestInit, "signal" | "dispatcher">;

/** A `fetch` that puts the token into requests, and into redirects within the origin. */
export function fetchWith({ fetch, ...source }: TokenSource & { readonly fetch: Fetch }): Fetch {
  const proofs = new Proofs(source);
  return async (input, init) => {
    const request = new Request(input, init);
    const token = await source.token();
    const isStream = isStreamed(init?.body) && !signsBody(token);
    const sendable: Sendable = {
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: await bodyOf(request, isStream),
    };
    const { dispatcher } = init ?? {};
    const rest: Rest = { signal: request.signal, ...(dispatcher ? { dispatcher } : {}) };
    const send = (own: Token): Promise<Followed> =>
      follow({ fetch, proofs, token: own, rest, redirect: request.redirect }, sendable);

    const { response, isOwn } = await send(token);
    // What another origin says, to which the token was not shown, is no word of the API.
    if (!isOwn) return response;
    const refused = refusal(response.status, response.headers.get("www-authenticate") ?? "");
    if (!refused) return response;
    const next = await source
      .nextToken(token, refused.status, refused.challenge)
      .catch(async (error: unknown) => {
        await response.body?.cancel();
        throw error;
      });
    if (!next || sendable.body instanceof ReadableStream) return response;
    await response.body?.cancel();
    return (await send(next)).response;
  };
}

interface Way {
  readonly fetch: Fetch;
  readonly proofs: Proofs;
  readonly token: Token;
  readonly rest: Rest;
  readonly redirect: Request["redirect"];
}

/** Where the redirects led. */
interface Followed {
  readonly response: Response;
  /** None of them left the origin. */
  readonly isOwn: boolean;
}

/** Sends a request, and follows redirects as `fetch` does; another origin gets no credential, and where it leads on to neither. */
async function follow(way: Way, first: Sendable): Promise<Followed> {
  const { redirect } = way;
  const { origin } = new URL(first.url);
  let request = first;
  let isOwn = true;
  for (let redirects = 0; ; redirects++) {
    isOwn &&= new URL(request.url).origin === origin;
    const response = await sendProved(way, isOwn ? way.token : undefined, request);
    const location = response.headers.get("location");
    if (!redirectStatuses.includes(response.status) || location === null || redirect === "manual")
      return { response, isOwn };
    await response.body?.cancel();
    if (redirect === "error") throw new TypeError("fetch failed: the answer is a redirect");
    if (redirects === maxRedirects) throw new TypeError(`fetch failed: more than ${maxRedirects} redirects`);
    request = redirected(request, response.status, new URL(location, request.url));
  }
}

/** One request, and once more where an API wants a nonce in the proof. */
async function sendProved(
  { fetch, proofs, rest }: Way,
  token: Token | undefined,
  request: Sendable,
): Promise<Response> {
  const send = async (): Promise<Response> => fetch(...(await signed(token, request, rest, proofs)));
  const response = await send();
  const isWanted = proofs.answered(token, request.url, response);
  if (!isWanted || request.body instanceof ReadableStream) return response;
  await response.body?.cancel();
  const second = await send();
  proofs.answered(token, request.url, second);
  return second;
}

async function signed(
  token: Token | undefined,
  { method, url, headers, body }: Sendable,
  rest: Rest,
  proofs: Proofs,
): Promise<[string, RequestInit]> {
  const common = { ...rest, redirect: "manual" as const };
  const options = token ? await proofs.optionsFor(token, method, url) : {};
  if (body instanceof ReadableStream) {
    const applied = token ? await token.apply({ method, url, headers }, options) : { url, headers };
    const init = { ...common, method, headers: applied.headers, body, duplex: "half" };
    return [applied.url, init as RequestInit];
  }
  const applied = token
    ? await token.apply({ method, url, headers, ...(body ? { body } : {}) }, options)
    : { url, headers };
  return [applied.url, { ...common, method, headers: applied.headers, ...(body ? { body } : {}) }];
}

/** The request that a redirect asks for (Fetch section 4.4). */
function redirected(from: Sendable, status: number, to: URL): Sendable {
  if (to.protocol !== "http:" && to.protocol !== "https:") {
    throw new TypeError("fetch failed: the redirect leads to another scheme than http and https");
  }
  const headers = new Headers(from.headers);
  if (to.origin !== new URL(from.url).origin) {
    for (const name of ["authorization", "cookie", "dpop", "proxy-authorization"]) headers.delete(name);
  }
  const isPost = from.method === "POST" && (status === 301 || status === 302);
  const becomesGet = isPost || (status === 303 && from.method !== "GET" && from.method !== "HEAD");
  if (!becomesGet) {
    if (from.body instanceof ReadableStream)
      throw new TypeError("fetch failed: a stream cannot be sent to a redirect");
    return { ...from, url: to.href, headers };
  }
  for (const name of ["content-encoding", "content-language", "content-location", "content-type"])
    headers.delete(name);
  return { method: "GET", url: to.href, headers, body: undefined };
}

async function bodyOf(request: Request, isStream: boolean): Promise<Sendable["body"]> {
  if (!request.body) return undefined;
  return isStream ? request.body : new Uint8Array(await request.arrayBuffer());
}

function isStreamed(body: unknown): boolean {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

/** Whether the body must be whole before the request is made. */
function signsBody({ strategy: { kind } }: Token): boolean {
  return kind.case === "hmacPayload" || kind.case === "awsSigv4";
}
