import type { FoundKey, KnownKeys, ReadKeys } from "./found_keys.js";
import { strayKeys } from "./server_keys.js";
import { type EditSpan, edited } from "./text_edits.js";

/** A line of a `.env`: its name, and its value, in quotes or up to a comment. */
const assignment =
  /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|`([^`]*)`|([^\s#"'`][^\r\n]*?)(?=[ \t]+#|[ \t]*\r?$))/gm;

/** The keys in a `.env`, which become placeholders: what reads it starts no command. */
export function dotenvKeys(text: string, known: KnownKeys): ReadKeys {
  const found = new Map<FoundKey, EditSpan>();
  for (const match of text.matchAll(assignment)) {
    const [whole, name = "", double, single, back, bare] = match;
    const value = double ?? single ?? back ?? bare ?? "";
    if (!known.isKey(name, value)) continue;
    const quotes = bare === undefined ? 1 : 0;
    const end = match.index + whole.length - quotes;
    const refusal = known.refusalOf(value);
    const key: FoundKey = {
      offset: end - value.length,
      place: "variable",
      name,
      value,
      template: known.templateFor(name, value),
      ...(refusal !== undefined && { refusal }),
    };
    found.set(key, { start: end - value.length, end });
  }
  const keys = [...found.keys(), ...strayKeys(text, [...found.values()], known)];
  return {
    keys: keys.sort((one, other) => one.offset - other.offset),
    rewritten: (names) =>
      edited(
        text,
        [...found].flatMap(([key, span]) =>
          names.has(key) ? [{ ...span, text: known.placeholder(key.value, key.name) }] : [],
        ),
      ),
    nextSteps: (names) => {
      const flags = [...names].map(([{ name }, credential]) => ` --env ${name}=${credential}`);
      return flags.length === 0 ? [] : [`start the program with nexusd exec${flags.join("")} -- PROGRAM`];
    },
  };
}
