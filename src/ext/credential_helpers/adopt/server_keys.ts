import { shellWord } from "../../../cli/kit.js";
import { type FoundKey, type KnownKeys, lineOf, type ReadKeys } from "./found_keys.js";
import {
  type Edit,
  type EditSpan,
  edited,
  type ObjectMember,
  removals,
  type Separator,
} from "./text_edits.js";

/** A member whose value is a text. */
export interface TextMember extends ObjectMember {
  readonly text: string;
}

/** Members of an object that holds texts: variables or headers. */
export interface TextMembers {
  readonly all: readonly ObjectMember[];
  readonly texts: readonly TextMember[];
  readonly separator: Separator;
  /** The object itself in its server, if it goes when it is empty. */
  readonly whole: ObjectMember | undefined;
}

/** An MCP server in the configuration of a host. */
export interface ConfiguredServer {
  readonly name: string;
  readonly members: readonly ObjectMember[];
  readonly separator: Separator;
  readonly command: TextMember | undefined;
  /** Undefined without arguments; `isOdd` where one is no text. */
  readonly args: { readonly open: number; readonly isEmpty: boolean; readonly isOdd: boolean } | undefined;
  readonly env: TextMembers | undefined;
  readonly headers: TextMembers | undefined;
  readonly url: string | undefined;
}

/** How the host writes it. */
export interface HostSyntax {
  /** A member of a server, for the end of one that stands already. */
  addition(server: ConfiguredServer, name: string, value: string): string;
  /** Whether a server can name a command that prints its headers. */
  readonly hasHeadersHelper: boolean;
}

const placeOf = ({ name }: ConfiguredServer) => `server ${name}`;

/** The keys of MCP servers. @param program how a file starts nexusd */
export function serverKeys(
  text: string,
  servers: readonly ConfiguredServer[],
  syntax: HostSyntax,
  known: KnownKeys,
  program: string,
): ReadKeys {
  const variables = new Map<FoundKey, readonly [ConfiguredServer, TextMember]>();
  const headers = new Map<FoundKey, readonly [ConfiguredServer, TextMember]>();
  for (const server of servers) {
    for (const member of server.env?.texts ?? [])
      if (known.isKey(member.name, member.text))
        variables.set(variableKey(server, member, known), [server, member]);
    const secret = (server.headers?.texts ?? []).filter((member) => isSecretHeader(member, known));
    for (const member of secret)
      headers.set(headerKey(server, member, { known, syntax, isOnly: secret.length === 1 }), [
        server,
        member,
      ]);
  }
  const taken = [...variables, ...headers].map(([, [, { value }]]) => value);
  const keys = [...variables.keys(), ...headers.keys(), ...strayKeys(text, taken, known)];
  return {
    keys: keys.sort((one, other) => one.offset - other.offset),
    rewritten: (names) => {
      const edits: Edit[] = [];
      for (const server of servers) {
        const named = (found: ReadonlyMap<FoundKey, readonly [ConfiguredServer, TextMember]>) =>
          [...found].flatMap(([key, [of, member]]) => {
            const credential = of === server ? names.get(key) : undefined;
            return credential === undefined ? [] : [{ member, credential }];
          });
        edits.push(...withExec(text, server, named(variables), syntax, program));
        edits.push(...withHelper(text, server, named(headers), syntax, program));
      }
      return edited(text, edits);
    },
    nextSteps: (names) => (names.size === 0 ? [] : ["restart the host, so that it reads the file"]),
  };
}

type NamedMember = { readonly member: TextMember; readonly credential: string };

function variableKey(server: ConfiguredServer, member: TextMember, known: KnownKeys): FoundKey {
  const refusal =
    known.refusalOf(member.text) ??
    (server.command === undefined || server.args?.isOdd
      ? "the server has no command and arguments that are texts"
      : undefined);
  return {
    offset: member.value.start,
    place: placeOf(server),
    name: member.name,
    value: member.text,
    template: known.templateFor(member.name, member.text),
    ...(refusal !== undefined && { refusal }),
  };
}

/** A scheme, and the key behind it. */
function headerParts(text: string): { readonly prefix: string; readonly key: string } {
  const [, prefix = "", key = text] = /^([A-Za-z][\w-]* )(\S+)$/.exec(text) ?? [];
  return { prefix, key };
}

function isSecretHeader({ name, text }: TextMember, known: KnownKeys): boolean {
  const { key } = headerParts(text);
  return known.isKey(/^authorization$/i.test(name) ? "token" : name, key);
}

function headerKey(
  server: ConfiguredServer,
  member: TextMember,
  {
    known,
    syntax,
    isOnly,
  }: { readonly known: KnownKeys; readonly syntax: HostSyntax; readonly isOnly: boolean },
): FoundKey {
  const { prefix, key } = headerParts(member.text);
  const url = server.url !== undefined && URL.canParse(server.url) ? new URL(server.url) : undefined;
  const hasHelper = server.members.some(({ name }) => name === "headersHelper");
  const refusal = !syntax.hasHeadersHelper
    ? "this host runs no command for headers: give the model nexusd mcp instead, or the server a variable"
    : hasHelper || !isOnly
      ? "a server has one command for its headers"
      : undefined;
  return {
    offset: member.value.start,
    place: placeOf(server),
    name: member.name,
    value: key,
    header: { name: member.name, prefix },
    ...(url && { origin: url.origin }),
    template: known.templateFor(member.name, key, url?.host),
    ...(refusal !== undefined && { refusal }),
  };
}

/** Keys in arguments, URLs, and comments, which no command can put in. */
export function* strayKeys(text: string, taken: readonly EditSpan[], known: KnownKeys): Generator<FoundKey> {
  for (const { offset, value } of known.strays(text)) {
    if (taken.some(({ start, end }) => offset >= start && offset < end)) continue;
    const place = `line ${lineOf(text, offset)}`;
    const refusal = "not a variable or header by itself: move it into one, and run this again";
    yield { offset, place, name: "", value, template: known.templateFor("", value), refusal };
  }
}

/** The server starts by `nexusd exec`, which gives it the variables. */
function withExec(
  text: string,
  server: ConfiguredServer,
  named: readonly NamedMember[],
  syntax: HostSyntax,
  program: string,
): Edit[] {
  const { command, args, env } = server;
  if (named.length === 0 || !command || !env) return [];
  const flags = named.flatMap(({ member, credential }) => ["--env", `${member.name}=${credential}`]);
  const words = ["exec", ...flags, "--", command.text].map((word) => JSON.stringify(word)).join(", ");
  const inserted: Edit = args
    ? { start: args.open, end: args.open, text: args.isEmpty ? words : `${words}, ` }
    : { start: command.end, end: command.end, text: syntax.addition(server, "args", `[${words}]`) };
  const replaced: Edit = { ...command.value, text: JSON.stringify(program) };
  return [replaced, inserted, ...without(text, server, env, named)];
}

/** The host runs a command for the header. */
function withHelper(
  text: string,
  server: ConfiguredServer,
  named: readonly NamedMember[],
  syntax: HostSyntax,
  program: string,
): Edit[] {
  const [only] = named;
  const { headers } = server;
  if (!only || !headers) return [];
  const helper = `${shellWord(program)} token ${shellWord(only.credential)} --format mcp-headers`;
  const isEmptied = headers.whole !== undefined && headers.all.length === named.length;
  if (isEmptied && headers.whole) {
    const { start, end } = headers.whole;
    return [
      {
        start,
        end,
        text: syntax.addition(server, "headersHelper", JSON.stringify(helper)).replace(/^,\s*/, ""),
      },
    ];
  }
  const at = headers.whole?.end ?? 0;
  const addition = syntax.addition(server, "headersHelper", JSON.stringify(helper));
  return [{ start: at, end: at, text: addition }, ...without(text, server, headers, named)];
}

function without(
  text: string,
  server: ConfiguredServer,
  members: TextMembers,
  named: readonly NamedMember[],
): Edit[] {
  const gone = named.map(({ member }) => member);
  if (members.whole && gone.length === members.all.length)
    return removals(text, server.members, [members.whole], server.separator);
  return removals(text, members.all, gone, members.separator);
}
