import type { JsonValue } from "../../model/json.js";

/**
 * Whether some object of a JSON text that `JSON.parse` accepts has two members of one name: whoever judges such a text and whoever acts
 * on it may each take another of the two (RFC 8259 section 4).
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

/** The path of a member that is called `__proto__`, which is no property where it is assigned; undefined when there is none. */
export function reservedName(value: JsonValue, path = ""): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, item] of Object.entries(value)) {
    const at = Array.isArray(value) || name === "__proto__" ? `${path}["${name}"]` : `${path}.${name}`;
    const found = name === "__proto__" ? at : reservedName(item, at);
    if (found !== undefined) return found.replace(/^\./, "");
  }
  return undefined;
}
