import { InvalidArgument } from "./errors.js";

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
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f\\]/.test(text))
    refuse("must not hold white space, control characters or backslashes");
  if (!URL.canParse(text)) return refuse("must be an absolute URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse("must be an http or https URL");
  if (url.username !== "" || url.password !== "") refuse("must not hold a user name or password");
  if (allowedOrigins.length === 0) {
    refuse("return URLs are off: set NEXUS_ALLOWED_RETURN_URLS to the origins that may be returned to");
  }
  if (!allowedOrigins.includes(url.origin)) {
    refuse(`the origin ${url.origin} is not among NEXUS_ALLOWED_RETURN_URLS`);
  }
  return url.href;
}
