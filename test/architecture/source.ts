import { parseSync } from "oxc-parser";
import type { OwnedThing } from "./rules.js";

/** What the rules are about in one source file. Lines count from 1. */
export type Source = {
  imports: { specifier: string; line: number; isType: boolean }[];
  /** Names that begin with `_`, as members that are read, declared in a type or taken out of an object. */
  privateMembers: { name: string; line: number }[];
  uses: { thing: OwnedThing; text: string; line: number }[];
  /** Every function, method and arrow function. */
  functions: { line: number; lines: number }[];
  /** Whether it holds nothing but what it passes on from other files. */
  isDoor: boolean;
  lines: number;
};

type Node = { type: string; start: number; end: number; [key: string]: unknown };

const functionTypes = ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"];

/** Parses, so that a comment or a string that looks like an import does not count as one. */
export function readSource(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const lineAt = linesOf(text);
  const source: Source = {
    imports: [],
    privateMembers: [],
    uses: [],
    functions: [],
    isDoor: isDoor(program.body),
    lines: lineAt(text.trimEnd().length),
  };
  for (const node of nodesOf(program as unknown as Node)) {
    const line = lineAt(node.start);
    const specifier = importSpecifierOf(node);
    const isType = [node["importKind"], node["exportKind"]].includes("type") || node.type === "TSImportType";
    if (specifier !== undefined) source.imports.push({ specifier, line, isType });
    if (functionTypes.includes(node.type)) {
      source.functions.push({ line, lines: lineAt(node.end) - line + 1 });
    }
    for (const name of memberNamesOf(node)) if (isPrivate(name)) source.privateMembers.push({ name, line });
    for (const use of usesOf(node)) {
      const [thing] = things.find(([, names]) => names.includes(use)) ?? [];
      if (thing !== undefined) source.uses.push({ thing, text: use, line });
    }
  }
  return source;
}

function isDoor(body: readonly { readonly type: string }[]): boolean {
  const passesOn = ["ExportNamedDeclaration", "ExportAllDeclaration"];
  const isPassed = (node: object) => "source" in node && node.source !== null;
  return body.length > 0 && body.every((node) => passesOn.includes(node.type) && isPassed(node));
}

const things: [OwnedThing, string[]][] = [
  ["environment", ["process.env"]],
  ["clock", ["Date.now", "Date()", "performance.now", "performance.timeOrigin", "process.hrtime"]],
  ["timers", ["setTimeout", "setInterval"]],
  ["fetch", ["fetch"]],
  ["platform", ["process.platform"]],
  ["ciphers", [".createCipheriv", ".createDecipheriv"]],
];

/** By convention, of libraries and of Node; `__proto__` is no member of anything. */
function isPrivate(name: string): boolean {
  return /^_[A-Za-z]/.test(name);
}

/** The member that a node reads, declares or takes out of an object. */
function memberNamesOf(node: Node): string[] {
  switch (node.type) {
    case "MemberExpression": {
      const path = pathOf(node);
      return [path.slice(path.lastIndexOf(".") + 1)];
    }
    case "TSPropertySignature":
    case "TSMethodSignature":
      return [literalOf(node["key"]) ?? pathOf(node["key"])];
    case "ObjectPattern":
      return destructuredKeysOf(node);
    case "CallExpression": {
      // Reflect.get(socket, "_handle")
      const isReflection = pathOf(node["callee"]).startsWith("Reflect.");
      return isReflection ? (node["arguments"] as unknown[]).flatMap((each) => literalOf(each) ?? []) : [];
    }
    default:
      return [];
  }
}

/** Line of an offset. */
function linesOf(text: string): (offset: number) => number {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

function importSpecifierOf({ type, source, expression }: Node): string | undefined {
  switch (type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return isNode(source) ? (literalOf(source) ?? "(computed)") : undefined;
    case "TSExternalModuleReference":
      return isNode(expression) ? literalOf(expression) : undefined;
    default:
      return undefined;
  }
}

/**
 * The names in the form of the table above. A plain name counts wherever it stands, as a parameter too: who shadows a
 * global that has an owner makes the reader guess which of the two is called.
 */
function usesOf(node: Node): string[] {
  switch (node.type) {
    case "Identifier":
      return [String(node["name"])];
    case "MemberExpression":
      return usesOfPath(pathOf(node));
    case "ImportSpecifier":
      return [`.${pathOf(node["imported"])}`];
    case "NewExpression":
    case "CallExpression": {
      const isNow = node.type === "CallExpression" || (node["arguments"] as unknown[]).length === 0;
      return isNow && pathOf(node["callee"]).replace(/^globalThis\./, "") === "Date" ? ["Date()"] : [];
    }
    case "VariableDeclarator":
      return destructuredKeysOf(node["id"]).flatMap((key) => usesOfPath(`${pathOf(node["init"])}.${key}`));
    default:
      return [];
  }
}

function usesOfPath(path: string): string[] {
  const lastName = path.slice(path.lastIndexOf("."));
  return [path.replace(/^globalThis\./, ""), lastName];
}

function destructuredKeysOf(pattern: unknown): string[] {
  if (!isNode(pattern) || pattern.type !== "ObjectPattern") return [];
  return (pattern["properties"] as Node[]).map(({ key }) => literalOf(key) ?? pathOf(key));
}

/** `a.b.c` for `a.b["c"]`; what is no name becomes `?`. */
function pathOf(node: unknown): string {
  if (!isNode(node)) return "?";
  if (node.type === "Identifier") return String(node["name"]);
  if (node.type !== "MemberExpression") return "?";
  const last = node["computed"] === true ? (literalOf(node["property"]) ?? "?") : pathOf(node["property"]);
  return `${pathOf(node["object"])}.${last}`;
}

/** Every node but those that only name a member: `.name`, `{ name: ... }`, `name(): void`. */
function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const [key, value] of Object.entries(node)) {
    if ((key === "property" || key === "key") && node["computed"] !== true) continue;
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* nodesOf(child);
    }
  }
}

function literalOf(node: unknown): string | undefined {
  if (!isNode(node) || node.type !== "Literal") return undefined;
  return typeof node["value"] === "string" ? node["value"] : undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}
