import type { Command, Option } from "commander";

/** One word that may stand at the cursor. */
export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** What completes the last word. */
export type Completion =
  | { readonly kind: "words"; readonly words: readonly Candidate[] }
  /** A path, which the shell knows best. */
  | { readonly kind: "files" }
  /** A name that the daemon knows; `leaf` is the command, and `given` its words so far. */
  | { readonly kind: NamedThings; readonly leaf: Command; readonly given: readonly string[] };

type NamedThings = "providers" | "templates" | "connections";

/**
 * What may replace the last word.
 *
 * @param words what was typed after `nexusd`; the last is the one at the cursor, and may be empty
 */
export function completionOf(program: Command, words: readonly string[]): Completion {
  const last = words.at(-1) ?? "";
  const { leaf, given } = commandOf(program, words.slice(0, -1));
  const before = given.at(-1) ?? "";
  const open = given.includes("--") ? undefined : optionOf(leaf, before);
  if (open !== undefined && takesValue(open))
    return completionFor(open.argChoices, wordOf(open), leaf, given);
  if (last.startsWith("-") && !given.includes("--")) return { kind: "words", words: optionsOf(leaf, given) };
  if (leaf.commands.length > 0 && given.length === 0) return { kind: "words", words: commandsOf(leaf) };
  const place = given.filter(
    (word, index) => !word.startsWith("-") && !isValue(leaf, given[index - 1]),
  ).length;
  const { registeredArguments: all } = leaf;
  const argument = all[place] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  if (argument === undefined) return { kind: "words", words: [] };
  return completionFor(argument.argChoices, argument.name(), leaf, given);
}

/** The command that the words name, and what stands after its name. */
function commandOf(
  program: Command,
  words: readonly string[],
): { readonly leaf: Command; readonly given: readonly string[] } {
  let leaf = program;
  for (const [index, word] of words.entries()) {
    const child = leaf.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (child === undefined) return { leaf, given: words.slice(index) };
    leaf = child;
  }
  return { leaf, given: [] };
}

function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find((option) => option.long === word || option.short === word);
}

function takesValue(option: Option): boolean {
  return option.required;
}

/** Whether what follows a word belongs to it. */
function isValue(command: Command, before: string | undefined): boolean {
  const option = before === undefined ? undefined : optionOf(command, before);
  return option !== undefined && takesValue(option);
}

/** What the value of a flag is called: by itself, or by what it holds. */
function wordOf(option: Option): string {
  const [, word = ""] = /<([^>]+)>/.exec(option.flags) ?? [];
  const name = option.attributeName();
  return name === "provider" || name === "connection" ? name : word;
}

const files = ["file", "folder", "path"];
const known: Readonly<Record<string, NamedThings>> = {
  provider: "providers",
  template: "templates",
  connection: "connections",
  connections: "connections",
};

function completionFor(
  choices: readonly string[] | undefined,
  name: string,
  leaf: Command,
  given: readonly string[],
): Completion {
  if (choices !== undefined) {
    return { kind: "words", words: choices.map((word) => ({ word, description: "" })) };
  }
  const kind = Object.hasOwn(known, name) ? known[name] : undefined;
  if (kind !== undefined) return { kind, leaf, given };
  return files.includes(name) ? { kind: "files" } : { kind: "words", words: [] };
}

function commandsOf(command: Command): Candidate[] {
  // What `--help` does not list is for programs.
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => ({ word: child.name(), description: child.description() }));
}

/** Those that were not given yet; some can be given again. */
function optionsOf(command: Command, given: readonly string[]): Candidate[] {
  const help = { word: "--help", description: "" };
  const options = command.options
    .filter(({ long, description }) => long && (/again|repeat/.test(description) || !given.includes(long)))
    .map(({ long, description }) => ({ word: long ?? "", description }));
  return [...options, help];
}
