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

/**
 * Whether some object of a JSON text that `JSON.parse` accepts has two members of one name. The program that checks such a text and the one
 * that acts on it may each take another of the two (RFC 8259 section 4).
 */
export function hasDuplicateNames(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match;
    if (found === "{") open.push(new Set());
    else if (found === "[") open.push(undefined);
    else if (found === "}" || found === "]") open.pop();
    else if (isName(text, token.lastIndex)) {
      const names = open.at(-1);
      const name = JSON.parse(found) as string;
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}

/** A string is a name when a colon follows. */
function isName(text: string, end: number): boolean {
  let at = end;
  while (/\s/.test(text.charAt(at))) at++;
  return text.charAt(at) === ":";
}
