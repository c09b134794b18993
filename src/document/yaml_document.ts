import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import type { JsonObject, JsonValue } from "../model/json.js";
import { suggestions } from "../model/suggestions.js";
import { DocumentError, type DocumentViolation, type TextPlace } from "./document_error.js";

/** Aliases can make a small file unfold into a huge one. */
const maxNodes = 100_000;
const maxDepth = 50;

/** Characters of a key, in an error. */
const maxKeyCharacters = 60;
/** Mistyped keys of one object that are compared with those that there are. */
const maxGuessed = 100;

/** A text after variables were put into it. */
export interface Expansion {
  readonly text: string;
  readonly violations: readonly string[];
  /** Values of variables whose name says that they hold a secret. */
  readonly secrets: readonly string[];
}

export type Expand = (text: string) => Expansion;

const asWritten: Expand = (text) => ({ text, violations: [], secrets: [] });

/** The names and indexes that lead to a value. */
export type Path = readonly (string | number)[];

/** A document as JSON that remembers where each part of it stood. */
export interface YamlDocument {
  readonly value: JsonValue;
  readonly violations: readonly DocumentViolation[];
  readonly secrets: ReadonlySet<string>;
  /** Where the value at `path` begins, or the nearest one around it that exists. */
  placeOf(path: Path): TextPlace;
}

/**
 * Parses YAML 1.2, JSON among it, and then expands its texts: a value cannot change what the document says.
 *
 * @throws DocumentError when it is no YAML
 */
export function readYaml(text: string, expand: Expand = asWritten): YamlDocument {
  const lines = new LineCounter();
  // The library's own messages quote the lines around an error, and a secret may stand there.
  // It also compares each key of a map with every other, which takes minutes for a long one: `#readMap` looks for doubles.
  const options = { prettyErrors: false, logLevel: "error", uniqueKeys: false } as const;
  const document = parseDocument(text, { ...options, lineCounter: lines });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw new DocumentError(
      broken.map(({ code, pos }) => ({
        ...placeAt(lines, pos[0]),
        message: sentences[code] ?? `this is no YAML (${code.toLowerCase().replaceAll("_", " ")})`,
      })),
    );
  }
  return new ReadDocument(document, lines, expand);
}

/** What can be stated without quoting the file. */
const sentences: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: "the file holds more than one document",
  TAB_AS_INDENT: "a tab cannot indent",
  BAD_INDENT: "this is not indented as what is around it, or a bracket is missing",
  MISSING_CHAR: "a quote, a bracket or a comma is missing (bad indentation looks the same)",
  TAG_RESOLVE_FAILED: "tags are not known here",
};

function placeAt(lines: LineCounter, offset: number): TextPlace {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

class ReadDocument implements YamlDocument {
  readonly value: JsonValue;
  readonly violations: DocumentViolation[] = [];
  readonly secrets = new Set<string>();
  readonly #places = new Map<string, TextPlace>();
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #expandText: Expand;
  #nodes = 0;

  constructor(document: Document.Parsed, lines: LineCounter, expand: Expand) {
    this.#document = document;
    this.#lines = lines;
    this.#expandText = expand;
    this.value = this.#read(document.contents, []);
  }

  placeOf(path: Path): TextPlace {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(keyOf(path.slice(0, length)));
      if (place) return place;
    }
    return { line: 1, column: 1 };
  }

  #read(node: Node | null, path: Path): JsonValue {
    if (node?.range) this.#mark(path, node.range[0]);
    if (++this.#nodes > maxNodes || path.length > maxDepth) {
      const message = "the aliases of the file unfold into too much";
      throw new DocumentError([{ ...this.placeOf(path), message }]);
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (!target) this.#violation(path, "is an alias of no anchor");
      return this.#read(target ?? null, path);
    }
    if (isMap(node)) return this.#readMap(node.items as Pair<Node, Node | null>[], path);
    if (isSeq(node)) return node.items.map((item, index) => this.#read(item as Node, [...path, index]));
    if (!isScalar(node)) return null;
    const { value } = node;
    if (typeof value === "string") return this.#expand(value, path);
    if (typeof value === "boolean" || value === null || Number.isFinite(value)) return value as JsonValue;
    this.#violation(path, "is a value that cannot be used here: put it into quotes");
    return null;
  }

  #readMap(pairs: readonly Pair<Node, Node | null>[], path: Path): JsonObject {
    const object: JsonObject = {};
    for (const { key, value } of pairs) {
      if (!isScalar(key) || isCollection(key)) {
        this.#violation(path, "has a key that is no text");
        continue;
      }
      const name = String(key.value);
      if (Object.hasOwn(object, name)) {
        this.violations.push({
          ...placeAt(this.#lines, key.range?.[0] ?? 0),
          message: "this key stands here twice",
        });
        continue;
      }
      const inside = [...path, name];
      if (value === null) this.#mark(inside, key.range?.[0] ?? 0);
      const read = this.#read(value, inside);
      this.#mark([...inside, keyMark], key.range?.[0] ?? 0);
      // Assigning to `__proto__` would set no property.
      Object.defineProperty(object, name, {
        value: read,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return object;
  }

  #expand(text: string, path: Path): string {
    const expansion = this.#expandText(text);
    for (const violation of expansion.violations) this.#violation(path, violation);
    for (const secret of expansion.secrets) this.secrets.add(secret);
    return expansion.text;
  }

  #mark(path: Path, offset: number): void {
    const key = keyOf(path);
    if (!this.#places.has(key)) this.#places.set(key, placeAt(this.#lines, offset));
  }

  #violation(path: Path, message: string): void {
    this.violations.push({ ...this.placeOf(path), message: `${fieldOf(path)}${message}` });
  }
}

/** Last step of a path that means the key and not its value. */
const keyMark = "\u0000key";

/** An error for each key of an object of the document that is not among the known ones, with those that may be meant, or else all. */
export function unknownKeys(
  document: YamlDocument,
  json: JsonObject,
  path: Path,
  known: readonly string[],
): DocumentViolation[] {
  const meant = meantKeys(json, known);
  const unknown = Object.keys(json).filter((key) => !known.includes(key));
  return unknown.map((key) => {
    const near = meant.get(key) ?? [];
    const instead = near.length > 0 ? `did you mean ${near.join(", ")}?` : `these are: ${known.join(", ")}`;
    // Short, and without what steers a terminal.
    const excerpt = key.slice(0, maxKeyCharacters).replace(/\p{Cc}/gu, "?");
    const message = `${excerpt}: is not a key; ${instead}`;
    return { ...document.placeOf([...path, key, keyMark]), message };
  });
}

/** The known keys that each of the others is probably meant for; nothing is guessed of a long one, or of one among many. */
export function meantKeys(
  json: JsonObject,
  known: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const unknown = Object.keys(json).filter((key) => !known.includes(key) && key.length <= maxKeyCharacters);
  return new Map(unknown.slice(0, maxGuessed).map((key) => [key, suggestions(key, known)]));
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** `params.prompt: ` for what stands inside a profile. */
function fieldOf(path: Path): string {
  const inside = path.slice(2);
  if (inside.length === 0) return "";
  return `${inside.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("")}: `;
}
