import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** A page fetched ahead of the person's wish (Fetch Standard, `Sec-Purpose`; the others are its forerunners). */
export function isPrefetch(headers: IncomingHttpHeaders): boolean {
  return ["sec-purpose", "purpose", "x-moz", "x-purpose"].some((name) =>
    /^\s*(prefetch|prerender|preview)\b/i.test(String(headers[name] ?? "")),
  );
}

/** A picture, script or frame of another page, as far as the browser says (Fetch Metadata, section 2.1): nobody looks at it. */
export function isEmbedded(headers: IncomingHttpHeaders): boolean {
  const destination = headers["sec-fetch-dest"];
  return destination !== undefined && destination !== "document";
}

/** `fetch` by the script of a page of this listener, as far as the browser says (Fetch Metadata, section 2). */
export function isOwnFetch(headers: IncomingHttpHeaders): boolean {
  return headers["sec-fetch-dest"] === "empty" && headers["sec-fetch-site"] === "same-origin";
}

/** The one media type in which browsers send the forms of this listener. */
export function isForm(headers: IncomingHttpHeaders): boolean {
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  return type === "application/x-www-form-urlencoded";
}

/** A form of a page of this listener, as far as the browser says (Fetch, section 3.2; Fetch Metadata, section 2.4). */
export function isOwnForm(headers: IncomingHttpHeaders, publicUrl: URL): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const { origin } = headers;
  if (origin === undefined) return true;
  const own = `${publicUrl.protocol}//${headers.host}`;
  return URL.canParse(own) && origin === new URL(own).origin;
}

/** A link of a page of this listener, as far as the browser says (Fetch Metadata, section 2.4): not of another site, and typed by nobody. */
export function isOwnLink(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  return site === undefined || site === "same-origin";
}

/** The one `Host` of a request, in lower case; undefined when there is none, or more than one (RFC 9112, section 3.2). */
export function hostOf({ headers, headersDistinct }: IncomingMessage): string | undefined {
  return headersDistinct["host"]?.length === 1 ? headers.host?.toLowerCase() : undefined;
}

/** Every spelling of the authority of the public URL; on a loopback host, the other loopback names as well. */
export function hostsOf(publicUrl: URL): ReadonlySet<string> {
  const loopback = ["localhost", "127.0.0.1", "[::1]"];
  const names = loopback.includes(publicUrl.hostname) ? loopback : [publicUrl.hostname];
  const port = publicUrl.port === "" ? (publicUrl.protocol === "https:" ? "443" : "80") : publicUrl.port;
  const withPort = names.map((name) => `${name}:${port}`);
  return new Set(publicUrl.port === "" ? [...names, ...withPort] : withPort);
}

/** The one `state` of a query. */
export function stateOf(query: URLSearchParams): string | undefined {
  const [state, ...others] = query.getAll("state");
  return others.length === 0 && state ? state : undefined;
}

/** Whether JSON is named, and text/html not, or as less welcome (RFC 9110 section 12.5.1): what browsers open a page with names no JSON. */
export function prefersJson({ accept = "" }: IncomingHttpHeaders): boolean {
  const weights = new Map(
    accept.split(",").map((range) => {
      const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
      return [type, Number(weight)];
    }),
  );
  return (weights.get("application/json") ?? 0) > (weights.get("text/html") ?? 0);
}
