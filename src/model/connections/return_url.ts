import { InvalidArgument } from "../errors.js";

/**
 * Judges where a person's browser may be sent. The URL is parsed, compared by its origin with the allowlist, and
 * returned re-serialised, so that what is compared is what is sent.
 *
 * @param allowedOrigins origins as `URL.origin` writes them
 * @throws InvalidArgument naming `return_url`
 */
export function checkReturnUrl(text: string, allowedOrigins: readonly string[]): string {
  const refuse = (description: string): never => {
    throw new InvalidArgument([{ field: "return_url", description }]);
  };
  // Separators, controls, formats (among them those that turn text around) and halves of characters.
  if (/[\p{Z}\p{C}\\]/u.test(text)) refuse("must not hold white space, control characters or backslashes");
  if (!URL.canParse(text)) return refuse("must be an absolute URL");
  // `https:host`, `https:/host` and `https:///host` mean different hosts to different parsers.
  if (!/^[a-z]+:\/\/[^/]/i.test(text)) refuse("must be written as scheme://host");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse("must be an http or https URL");
  const authority = text.slice(text.indexOf("//") + 2).split(/[/?#]/, 1)[0] ?? "";
  if (authority.includes("@")) refuse("must not hold a user name or password");
  if (allowedOrigins.length === 0) {
    refuse("return URLs are off: set NEXUS_ALLOWED_RETURN_URLS to the origins that may be returned to");
  }
  if (!allowedOrigins.includes(url.origin)) {
    refuse(`the origin ${url.origin} is not among NEXUS_ALLOWED_RETURN_URLS`);
  }
  return url.href;
}
