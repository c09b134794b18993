// Copied from src/model/header_name.ts by `npm run generate`; edit that.
/** RFC 9110 section 5.1. */
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What says where a message ends, or is for one connection alone: RFC 9110 sections 7.2, 7.6.1, 8.6 and 10.1.1, RFC 9113 section 8.2.2. */
const framingHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const framingViolation =
  "must be a header of the request itself, not one that belongs to the connection or frames the message (Host, Proxy-* and their like)";

/** Set by the protocol in a token request, whatever a profile says. */
const tokenRequestHeaders: ReadonlySet<string> = new Set(["authorization", "content-type", "cookie", "dpop"]);

/**
 * What is wrong with the name of a header that comes from data, as the end of a sentence about it; undefined when nothing is. A header
 * that frames the message, or belongs to one connection (`Proxy-*` too), lets a caller that names it end or desynchronise the connection.
 */
export function headerNameViolation(name: string): string | undefined {
  if (!tokenPattern.test(name)) return "must be a header name";
  const lower = name.toLowerCase();
  return framingHeaders.has(lower) || lower.startsWith("proxy-") ? framingViolation : undefined;
}

/** The same for a further header of a token request. */
export function tokenHeaderViolation(name: string): string | undefined {
  return tokenRequestHeaders.has(name.toLowerCase())
    ? "is a header that the protocol sets itself"
    : headerNameViolation(name);
}
