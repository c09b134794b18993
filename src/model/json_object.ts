/** The JSON object in a text, a byte order mark before it skipped (RFC 8259 section 8.1); undefined when it holds anything else. */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  // An empty body, or a page: the parser would throw, and a throw takes as much as the whole of a good answer.
  if (!/^\uFEFF?[\t\n\r ]*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text.replace(/^\uFEFF/, "")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
