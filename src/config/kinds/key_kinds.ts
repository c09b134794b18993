import type { KeySource } from "../../model/credentials/key_source.js";
import { Secret } from "../../runtime/secret.js";
import type { Note, SettingKind } from "./setting_kinds.js";

const commandPrefix = "exec:";

/** The keys themselves, or `exec:` and a command that prints them. */
export const keysOrCommand: SettingKind<KeySource> = {
  argument: "keys",
  isHidden: true,
  parse: (value, note) => {
    if (value.startsWith(commandPrefix)) return readCommand(value, note);
    const violation = keysViolation(value.split(/[\s,]+/).filter((word) => word !== ""));
    if (violation !== undefined) note(violation);
    return { source: "environment", key: new Secret(value) };
  },
};

/** A command that prints the keys. It is hidden too: a person may have put a password into it. */
export const keyCommand: SettingKind<KeySource> = {
  argument: "command",
  isHidden: true,
  parse: readCommand,
};

/**
 * Splits a command into words, as no shell does: white space separates them; what is in single or in double quotes belongs to one
 * word, letter by letter. Nothing is replaced.
 *
 * @returns undefined when a quote is not closed
 */
export function splitCommand(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const [, single, double, space, plain] of text.matchAll(/'([^']*)'|"([^"]*)"|(\s+)|([\s\S])/g)) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      if (plain === "'" || plain === '"') return undefined;
      word = (word ?? "") + (single ?? double ?? plain ?? "");
    }
  }
  return word === undefined ? words : [...words, word];
}

function readCommand(value: string, note: Note): KeySource {
  const text = value.startsWith(commandPrefix) ? value.slice(commandPrefix.length) : value;
  const argv = splitCommand(text);
  if (argv === undefined) note("has a quote that is not closed");
  else if ((argv[0] ?? "") === "") note("names no program");
  return { source: "command", argv: argv ?? [] };
}

function keysViolation(keys: readonly string[]): string | undefined {
  if (!keys.every((key) => /^[A-Za-z0-9+/_-]+={0,2}$/.test(key)))
    return "is not base64: make a key with `openssl rand -base64 32`";
  const lengthBytes = keys.map((key) => Buffer.from(key, "base64").length).find((bytes) => bytes !== 32);
  if (lengthBytes === undefined) return undefined;
  return `holds ${lengthBytes} bytes, not 32: make a key with \`openssl rand -base64 32\``;
}
