import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import { usageFailure } from "../../../cli/kit.js";
import type { KnownKeys, ReadKeys } from "./found_keys.js";
import {
  type ConfiguredServer,
  type HostSyntax,
  serverKeys,
  type TextMember,
  type TextMembers,
} from "./server_keys.js";
import type { ObjectMember, Separator } from "./text_edits.js";

/** The keys in Codex's `config.toml`: those of `mcp_servers`. */
export function tomlKeys(
  text: string,
  file: string,
  options: { readonly known: KnownKeys; readonly program: string },
): ReadKeys {
  const entries = entriesOf(parsed(text, file));
  const names = new Set(
    entries.flatMap(({ path: [table, name] }) =>
      table === "mcp_servers" && name !== undefined ? [name] : [],
    ),
  );
  const servers = [...names].map((name) => serverOf(text, name, entries));
  const syntax: HostSyntax = {
    hasHeadersHelper: false,
    addition: ({ separator }, name, value) =>
      `${separator === "comma" ? ", " : lineBreak(text)}${name} = ${value}`,
  };
  return serverKeys(text, servers, syntax, options.known, options.program);
}

/** Deeper, no configuration is; what parses it calls itself for each level. */
const maxDepth = 64;
const textsAndComments = /"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*/g;

function refuseDepth(text: string, file: string): void {
  let depth = 0;
  for (const [bracket] of text.replace(textsAndComments, "").matchAll(/[[\]{}]/g)) {
    depth += "[{".includes(bracket) ? 1 : -1;
    if (depth > maxDepth) throw usageFailure(`${file} is nested deeper than ${maxDepth} levels`);
  }
}

function parsed(text: string, file: string): AST.TOMLProgram {
  refuseDepth(text, file);
  try {
    return parseTOML(text);
  } catch (error) {
    if (error instanceof ParseError) throw usageFailure(`${file} is no TOML: line ${error.lineNumber}`);
    throw error;
  }
}

const lineBreak = (text: string): string => (text.includes("\r\n") ? "\r\n" : "\n");

/** A key and its value, with the whole path to it. */
interface TomlEntry {
  readonly path: readonly string[];
  readonly member: ObjectMember;
  readonly node: AST.TOMLContentNode;
  readonly separator: Separator;
}

function entriesOf({ body: [top] }: AST.TOMLProgram): TomlEntry[] {
  return (top?.body ?? []).flatMap((node) =>
    node.type === "TOMLTable"
      ? node.body.flatMap((entry) => entryOf(entry, node.resolvedKey.map(String), "line"))
      : entryOf(node, [], "line"),
  );
}

/** An entry, and those of the table that it holds. */
function entryOf(
  { key, value, range: [start, end] }: AST.TOMLKeyValue,
  above: readonly string[],
  separator: Separator,
): TomlEntry[] {
  const path = [...above, ...key.keys.map((part) => (part.type === "TOMLBare" ? part.name : part.value))];
  const member = {
    name: path[path.length - 1] ?? "",
    start,
    end,
    value: { start: value.range[0], end: value.range[1] },
  };
  const within =
    value.type === "TOMLInlineTable" ? value.body.flatMap((entry) => entryOf(entry, path, "comma")) : [];
  return [{ path, member, node: value, separator }, ...within];
}

function serverOf(text: string, name: string, entries: readonly TomlEntry[]): ConfiguredServer {
  const own = entries.filter(
    ({ path }) => path.length === 3 && path[0] === "mcp_servers" && path[1] === name,
  );
  const find = (wanted: string) => own.find(({ path }) => path[2] === wanted);
  const command = find("command");
  const args = find("args");
  const url = find("url");
  return {
    name,
    members: own.map(({ member }) => member),
    separator: own[0]?.separator ?? "line",
    command: command && textOf(command),
    args: args && argsOf(args),
    env: textMembers(text, name, "env", entries),
    headers: textMembers(text, name, "http_headers", entries),
    url: url && textOf(url)?.text,
  };
}

function argsOf({ node, member }: TomlEntry): NonNullable<ConfiguredServer["args"]> {
  const elements = node.type === "TOMLArray" ? node.elements : [];
  const isOdd =
    node.type !== "TOMLArray" || elements.some((one) => one.type !== "TOMLValue" || one.kind !== "string");
  return { open: member.value.start + 1, isEmpty: elements.length === 0, isOdd };
}

function textMembers(
  text: string,
  server: string,
  table: string,
  entries: readonly TomlEntry[],
): TextMembers | undefined {
  const all = entries.filter(
    ({ path }) => path.length === 4 && path[0] === "mcp_servers" && path[1] === server && path[2] === table,
  );
  const [first] = all;
  if (!first) return undefined;
  const whole = entries.find(({ path }) => path.length === 3 && path[1] === server && path[2] === table);
  return {
    all: all.map(({ member }) => member),
    texts: all.flatMap((entry) => textOf(entry) ?? []),
    separator: first.separator,
    whole: whole && text.slice(whole.member.value.start).startsWith("{") ? whole.member : undefined,
  };
}

function textOf({ node, member }: TomlEntry): TextMember | undefined {
  return node.type === "TOMLValue" && node.kind === "string" ? { ...member, text: node.value } : undefined;
}
