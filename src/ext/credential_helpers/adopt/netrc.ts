import { shellWord } from "../../../cli/kit.js";
import type { FoundKey, KnownKeys, ReadKeys } from "./found_keys.js";
import { type EditSpan, edited } from "./text_edits.js";

/** A word of a netrc, in quotes or not; a comment; and a macro, which ends at an empty line. */
const word = /"(?:[^"\\]|\\.)*"|#[^\n]*|\bmacdef[ \t][\s\S]*?(?=\n[ \t]*\r?\n|$(?![\s\S]))|\S+/g;

interface MachineEntry extends EditSpan {
  readonly host: string;
  login: string;
  password: string;
  passwordAt: number;
}

/** The passwords in a `.netrc`. An entry goes as a whole: a program that found another password there would send that. */
export function netrcKeys(text: string, known: KnownKeys, program: string): ReadKeys {
  const found = new Map<FoundKey, MachineEntry>();
  for (const entry of entriesOf(text)) {
    const { host, login: username, password: value } = entry;
    if (value === "" || /^(anonymous|ftp)$/.test(username) || !/^[\w.-]+$/.test(host)) continue;
    const api = known.templateFor("", value, host);
    const template = api && apiHosts(api.settings.apiBaseUrl, host) ? api : undefined;
    found.set(
      {
        offset: entry.passwordAt,
        place: "machine",
        name: host,
        value,
        template,
        username,
        origin: `https://${host}`,
      },
      entry,
    );
  }
  return {
    keys: [...found.keys()],
    rewritten: (names) =>
      edited(
        text,
        [...found].flatMap(([key, { start, end }]) => (names.has(key) ? [{ start, end, text: "" }] : [])),
      ),
    nextSteps: (names) =>
      [...names].flatMap(([{ name: host }, credential]) => [
        `git: git config --global credential.https://${host}.helper ${shellWord(`!${program} git-credential ${credential} --host ${host}`)}`,
        `curl: curl --netrc-file <(${program} token ${credential} --format netrc --host ${host}) https://${host}/`,
      ]),
  };
}

function apiHosts(apiBaseUrl: string, host: string): boolean {
  return URL.canParse(apiBaseUrl) && new URL(apiBaseUrl).host === host;
}

function entriesOf(text: string): MachineEntry[] {
  const entries: {
    start: number;
    end: number;
    host: string;
    login: string;
    password: string;
    passwordAt: number;
  }[] = [];
  let open: (typeof entries)[number] | undefined;
  let field = "";
  for (const { 0: token, index } of text.matchAll(word)) {
    const end = index + token.length;
    if (field !== "" && open) {
      const value = token.startsWith('"') ? token.slice(1, -1).replace(/\\(.)/g, "$1") : token;
      if (field === "machine") open = { ...open, host: value };
      if (field === "login") open.login = value;
      if (field === "password") Object.assign(open, { password: value, passwordAt: index });
      open.end = end;
      entries[entries.length - 1] = open;
      field = "";
    } else if (token.startsWith("#")) continue;
    else if (token === "machine") {
      open = { start: index, end, host: "", login: "", password: "", passwordAt: index };
      entries.push(open);
      field = token;
    } else if (token === "default" || token.startsWith("macdef")) open = undefined;
    else if (/^(login|password|account)$/.test(token)) field = token;
  }
  return entries.map((entry) => {
    const blank = /^[ \t]*\r?\n?/.exec(text.slice(entry.end))?.[0].length ?? 0;
    return { ...entry, end: entry.end + blank };
  });
}
