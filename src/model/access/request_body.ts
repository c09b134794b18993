import { hasDuplicateNames } from "../json_object.js";

/** The texts of a field that stands there several times. A condition knows only what it says of each of them. */
export class SeveralTexts {
  constructor(readonly texts: readonly string[]) {}
}

/** By name, as `foldedName` has it. A field that is there without a text has none here either: an object, a list of none, null, or several of these. */
export type BodyFields = ReadonlyMap<string, string | SeveralTexts | undefined>;

/** Objects in objects. */
const maxDepth = 64;
const json = /^application\/(?:[\w.-]+\+)?json(?:\s*;\s*charset="?utf-8"?)?\s*$/i;
const form = /^application\/x-www-form-urlencoded(?:\s*;\s*charset="?utf-8"?)?\s*$/i;
/** `to`, `to[]`, `items[0][price]`. Of others servers make other names: PHP leaves out blanks before, and makes `_` of a dot. */
const formName = /^[\w@:$-]+(?:\[[\w@:$-]*\])*$/;

/** Servers that compare names without case, as Go's do, also take a long s for an s. */
export function foldedName(name: string): string {
  return name.toUpperCase().toLowerCase();
}

/**
 * The fields of a JSON object, of the objects in a list, or of a form. `message.to` is the field `to` of the object `message`, and of each object of a
 * list `message`. What the query names too, servers may take from there.
 *
 * @returns undefined for any other body, and for one that servers may read in several ways
 */
export function bodyFields(
  bytes: Uint8Array,
  headers: ReadonlyMap<string, string | undefined>,
  query: ReadonlyMap<string, string | undefined> | undefined,
): BodyFields | undefined {
  if (bytes.length === 0) return new Map();
  if (headers.has("content-encoding") || query === undefined) return undefined;
  const type = headers.get("content-type") ?? "";
  const fields = new Fields();
  const isRead = json.test(type)
    ? fields.takeJson(textOf(bytes))
    : form.test(type) && fields.takeForm(textOf(bytes));
  return isRead ? fields.beside(query) : undefined;
}

/** @returns undefined for what is not UTF-8 */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

class Fields {
  /** Undefined for what has no text, or not that alone. */
  readonly #texts = new Map<string, string[] | undefined>();

  /** @returns whether all servers read the same */
  takeJson(text: string | undefined): boolean {
    try {
      if (text === undefined) return false;
      const value: unknown = JSON.parse(text);
      return (
        typeof value === "object" && value !== null && !hasDuplicateNames(text) && this.#take("", value, 0)
      );
    } catch {
      return false;
    }
  }

  /** @returns whether all servers read the same: some split at `;` as well, and some read JSON whatever its type */
  takeForm(text: string | undefined): boolean {
    if (text === undefined || text.includes(";") || /^\s*[[{]/.test(text)) return false;
    for (const [name, value] of new URLSearchParams(text)) {
      if (!formName.test(name) || value.includes("\uFFFD")) return false;
      this.#add(nameInForm(name), value);
    }
    return true;
  }

  beside(query: ReadonlyMap<string, string | undefined>): BodyFields {
    for (const [name, value] of query) {
      const field = nameInForm(name);
      if (this.#texts.has(field)) this.#add(field, value);
    }
    const several = (texts: string[]) => (texts.length === 1 ? texts[0] : new SeveralTexts(texts));
    return new Map([...this.#texts].map(([name, texts]) => [name, texts && several(texts)]));
  }

  #take(name: string, value: unknown, depth: number): boolean {
    if (depth > maxDepth) return false;
    if (Array.isArray(value)) {
      if (value.length === 0) this.#add(name, undefined);
      return value.every((item) => this.#take(name, item, depth + 1));
    }
    if (typeof value !== "object" || value === null) {
      this.#add(name, textIn(value));
      return true;
    }
    this.#add(name, undefined);
    return Object.entries(value).every(([key, item]) =>
      this.#take(
        depth === 0 || name === "" ? foldedName(key) : `${name}.${foldedName(key)}`,
        item,
        depth + 1,
      ),
    );
  }

  /** What holds other fields is no text, if servers read it so. */
  #add(name: string, text: string | undefined): void {
    for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1))
      this.#texts.set(name.slice(0, dot), undefined);
    const isFirst = !this.#texts.has(name);
    const texts = this.#texts.get(name);
    this.#texts.set(name, text === undefined || !(isFirst || texts) ? undefined : [...(texts ?? []), text]);
  }
}

/** `items[0][price]` is `items.price`, as in JSON. */
function nameInForm(name: string): string {
  return foldedName(name.replace(/\[\d*\]/g, "").replace(/\[([^\]]*)\]/g, ".$1"));
}

/** A number that JavaScript cannot hold may be another one at the server. */
function textIn(value: unknown): string | undefined {
  if (typeof value === "number")
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : undefined;
  return typeof value === "string" || typeof value === "boolean" ? String(value) : undefined;
}
