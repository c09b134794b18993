import { InvalidArgument } from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";
import { RestRefusal } from "../../service/pipeline/rest_error.js";
import { type Request, readBody } from "../listen/http_message.js";

/** Objects in objects; a profile with its JSON Schema has ten. Deeper ones would exhaust the stack of anyone who walks them. */
const maxDepth = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a JSON object; none at all counts as an empty one. The content type is not looked at: the existing servers do not,
 * and `curl -d` says form.
 *
 * @throws RestRefusal; InvalidArgument for a member called `__proto__`
 */
export async function readJsonBody(request: Request, maxBodyBytes: number): Promise<JsonObject> {
  const bytes = await readBody(request, maxBodyBytes);
  if (bytes === "aborted") throw new RestRefusal(499, "cancelled", "the request ended early");
  if (bytes === "too_large") {
    const limit = `${maxBodyBytes} bytes (the setting is NEXUS_MAX_BODY_BYTES)`;
    throw new RestRefusal(413, "body_too_large", `the body must not exceed ${limit}`);
  }
  if (bytes.length === 0) return {};
  let text: string;
  let value: JsonValue;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text) as JsonValue;
  } catch {
    throw new RestRefusal(400, "invalid_json", "the body is not JSON in UTF-8");
  }
  if (!isJsonObject(value)) throw new RestRefusal(400, "invalid_json", "the body must be a JSON object");
  if (isDeeper(value, maxDepth)) {
    throw new RestRefusal(400, "invalid_json", `the body is nested more than ${maxDepth} deep`);
  }
  if (hasDuplicateNames(text)) {
    throw new RestRefusal(400, "invalid_json", "an object of the body has two members of one name");
  }
  const reserved = reservedName(value);
  if (reserved !== undefined) {
    throw new InvalidArgument([{ field: reserved, description: "has a name that is reserved" }]);
  }
  return value;
}

function isDeeper(value: JsonValue, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1));
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
