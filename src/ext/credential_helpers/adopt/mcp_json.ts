import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { usageFailure } from "../../../cli/kit.js";
import type { KnownKeys, ReadKeys } from "./found_keys.js";
import {
  type ConfiguredServer,
  type HostSyntax,
  serverKeys,
  type TextMember,
  type TextMembers,
} from "./server_keys.js";
import type { ObjectMember } from "./text_edits.js";

/** Deeper, no host's configuration is; what reads it calls itself for each level. */
const maxDepth = 64;

/** The keys in JSON with comments of an MCP host: `mcpServers`, or `servers` of VS Code. */
export function jsonKeys(
  text: string,
  file: string,
  options: { readonly known: KnownKeys; readonly program: string; readonly hasHeadersHelper: boolean },
): ReadKeys {
  refuseDepth(text, file);
  const errors: ParseError[] = [];
  const start = text.startsWith("\ufeff") ? 1 : 0;
  const root = parseTree(start === 0 ? text : ` ${text.slice(1)}`, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error)
    throw usageFailure(
      `${file} is no JSON: ${printParseErrorCode(error.error)} at character ${error.offset + 1}`,
    );
  if (root?.type !== "object") throw usageFailure(`${file} holds no JSON object`);
  const lists = [memberValue(root, "mcpServers", file), memberValue(root, "servers", file)];
  const servers = lists.flatMap((list) => (list ? serversOf(list, file) : []));
  const syntax: HostSyntax = {
    hasHeadersHelper: options.hasHeadersHelper,
    addition: ({ members }, name, value) => `,${gap(text, members)}${JSON.stringify(name)}: ${value}`,
  };
  return serverKeys(text, servers, syntax, options.known, options.program);
}

/** What stands between two members: a line and its indentation, or a space. */
function gap(text: string, [, second]: readonly ObjectMember[]): string {
  return (second && /\r?\n[ \t]*$/.exec(text.slice(0, second.start))?.[0]) ?? " ";
}

function refuseDepth(text: string, file: string): void {
  const scanner = createScanner(text, true);
  let depth = 0;
  // At the end, a token has no length.
  for (scanner.scan(); scanner.getTokenLength() > 0; scanner.scan()) {
    const first = text.charAt(scanner.getTokenOffset());
    depth += Number("{[".includes(first)) - Number("}]".includes(first));
    if (depth > maxDepth) throw usageFailure(`${file} is nested deeper than ${maxDepth} levels`);
  }
}

function serversOf(list: Node, file: string): ConfiguredServer[] {
  return membersOf(list, file).flatMap(({ name }) => {
    const node = memberValue(list, name, file);
    if (node?.type !== "object") return [];
    const members = membersOf(node, file);
    const args = memberValue(node, "args", file);
    const url = memberValue(node, "url", file);
    const elements = args?.children ?? [];
    return [
      {
        name,
        members,
        separator: "comma" as const,
        command: textsOf(node, file).find((member) => member.name === "command"),
        args: args && {
          open: args.offset + 1,
          isEmpty: elements.length === 0,
          isOdd: args.type !== "array" || elements.some(({ type }) => type !== "string"),
        },
        env: textMembers(node, "env", members, file),
        headers: textMembers(node, "headers", members, file),
        url: url?.type === "string" ? String(url.value) : undefined,
      },
    ];
  });
}

function textMembers(
  server: Node,
  name: string,
  members: readonly ObjectMember[],
  file: string,
): TextMembers | undefined {
  const node = memberValue(server, name, file);
  if (node?.type !== "object") return undefined;
  const whole = members.find((member) => member.name === name);
  return { all: membersOf(node, file), texts: textsOf(node, file), separator: "comma", whole };
}

function textsOf(node: Node, file: string): TextMember[] {
  const values = (node.children ?? []).map(({ children }) => children?.[1]);
  return membersOf(node, file).flatMap((member, at) => {
    const value = values[at];
    return value?.type === "string" ? [{ ...member, text: String(value.value) }] : [];
  });
}

/** @throws CommandFailure for a name that stands twice: hosts differ in which one they take */
function membersOf(node: Node, file: string): ObjectMember[] {
  const names = new Set<string>();
  return (node.children ?? []).map(({ offset, length, children }) => {
    const [key, value] = children ?? [];
    const name = String(key?.value);
    if (names.has(name)) throw usageFailure(`${file} has ${JSON.stringify(name)} twice in one object`);
    names.add(name);
    const end = offset + length;
    const start = value?.offset ?? end;
    return { name, start: offset, end, value: { start, end: start + (value?.length ?? 0) } };
  });
}

function memberValue(node: Node, name: string, file: string): Node | undefined {
  const at = membersOf(node, file).findIndex((member) => member.name === name);
  return node.children?.[at]?.children?.[1];
}
