import { Command, CommanderError, InvalidArgumentError } from "commander";
import { ConfigError } from "../config/setting_reader.js";
import { readVersion } from "../config/version.js";
import { exitCodes } from "../core/exit_codes.js";
import { didYouMean } from "../model/suggestions.js";
import { CommandFailure } from "./shell/command_failure.js";
import { addDaemonFlags } from "./shell/daemon_command.js";
import { helpWidth } from "./shell/help.js";
import { asTyped } from "./shell/program_name.js";
import type { CommandRow, MakeCommand, Output, Shell } from "./shell/shell.js";
import { printable } from "./shell/text.js";

/**
 * Runs the one of these commands that the arguments name.
 *
 * @param args what stands after `nexusd`
 * @param process what the command sees of it
 * @param hidden commands that help does not show
 * @param alone what happens without arguments
 * @returns the exit code
 */
export async function runOneOf(
  rows: readonly CommandRow[],
  args: readonly string[],
  process: Shell,
  {
    hidden,
    alone,
  }: { readonly hidden: readonly MakeCommand[]; readonly alone: (shell: Shell) => Promise<void> },
): Promise<number> {
  const commandNames = (): string[] => program.commands.map((command) => command.name());
  const typed = (text: string): string => asTyped(text, process.program, commandNames());
  const shell = {
    ...process,
    stderr: { ...process.stderr, write: (text: string) => process.stderr.write(typed(text)) },
  };
  const program: Command = buildProgram(rows, shell);
  for (const make of hidden) program.addCommand(make(shell), { hidden: true });
  bind(program, shell, typed);
  try {
    if (args.length === 0) await alone(shell);
    else
      await program.parseAsync(withoutVainHelp(program, commandFirst(program, withFlag(args))), {
        from: "user",
      });
    return exitCodes.ok;
  } catch (error) {
    const code = report(error, shell.stderr);
    // There 2 means drift, so that arguments and settings which cannot be used must end otherwise.
    const isWrong = code === exitCodes.usage && !(error instanceof CommandFailure);
    return isWrong && args.includes("--detailed-exitcode") ? exitCodes.failed : code;
  }
}

function buildProgram(rows: readonly CommandRow[], shell: Shell): Command {
  const program = new Command("nexusd").version(readVersion(), "--version", "print the version");
  for (const { make, summary, examples } of rows) {
    const command = make(shell).summary(summary);
    if (command.description() === "") command.description(summary);
    program.addCommand(command);
    const leaves =
      typeof examples === "string"
        ? [[command, examples] as const]
        : command.commands.map((leaf) => [leaf, examples[leaf.name()]] as const);
    for (const [leaf, example] of leaves) {
      if (example === undefined)
        throw new Error(`nexusd ${command.name()} ${leaf.name()} has no example in its row`);
      const path = leaf === command ? command.name() : `${command.name()} ${leaf.name()}`;
      const help = `\nExample:\n  ${`nexusd ${path} ${example}`.trimEnd()}`;
      leaf.addHelpText("after", help);
      // Of a group, the command that stands first.
      if (leaf !== command && leaf === command.commands[0]) command.addHelpText("after", help);
    }
  }
  return program.configureHelp({ formatHelp: () => formatHelp(rows) });
}

/** All commands on one screen. */
function formatHelp(rows: readonly CommandRow[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const groups = [...new Set(rows.map(({ group }) => group))];
  const lines = groups.flatMap((heading) => [
    `${heading}:`,
    ...rows
      .filter(({ group }) => group === heading)
      .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
  ]);
  return `Usage: nexusd <command> [options]. Flags and examples: nexusd <command> --help

${lines.join("\n")}

First steps: nexusd serve, provider add github, connect github, token github
`;
}

/** `help token` is `token --help`. */
function withFlag(args: readonly string[]): readonly string[] {
  const [word, ...rest] = args;
  return word === "help" && rest.length > 0 ? [...rest, "--help"] : args;
}

/** `foo --help` where there is no command `foo`: the words alone, which are refused, rather than the help of what stands above them. */
function withoutVainHelp(program: Command, args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  if (!own.some((word) => word === "--help" || word === "-h")) return args;
  let command = program;
  for (const [index, word] of own.entries()) {
    if (word.startsWith("-") || word === "help" || command.commands.length === 0) break;
    const next = commandNamed(command, word);
    if (!next) return own.slice(0, index + 1);
    command = next;
  }
  return args;
}

function commandNamed({ commands }: Command, word: string): Command | undefined {
  return commands.find((each) => [each.name(), ...each.aliases()].includes(word));
}

/** `status --json` for `--json status`: the flags of every command may stand before it. */
function commandFirst(program: Command, args: readonly string[]): string[] {
  const { options } = addDaemonFlags(new Command());
  let start = 0;
  for (;;) {
    const [flag, value] = (args[start] ?? "").split("=", 2);
    const option = options.find(({ long }) => long === flag);
    if (!option) break;
    start += option.required && value === undefined ? 2 : 1;
  }
  let end = start;
  for (let command: Command | undefined = program; ; end++) {
    command = commandNamed(command, args[end] ?? "");
    if (!command) return [...args.slice(start, end), ...args.slice(0, start), ...args.slice(end)];
  }
}

/** Nothing here may end the process or write past the shell. */
function bind(command: Command, shell: Shell, typed: (text: string) => string, parents = ""): void {
  const path = `${parents}${command.name()}`;
  command
    .showHelpAfterError(`see: ${path} --help`)
    .exitOverride()
    // The arguments stand in the help of each; here they would leave no room for words on 80 columns.
    .configureHelp({
      ...command.configureHelp(),
      subcommandTerm: (child) => [child.name(), ...child.aliases()].join("|"),
    })
    .configureOutput({
      writeOut: (text) => shell.stdout.write(typed(text)),
      writeErr: (text) => shell.stderr.write(text),
      outputError: (text, write) => write(complaint(command, text).replace(/^error: /, "nexusd: ")),
      getOutHelpWidth: () => helpWidth(shell.stdout.columns),
      getErrHelpWidth: () => helpWidth(shell.stderr.columns),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  for (const child of command.commands) bind(child, shell, typed, `${path} `);
}

/**
 * The commands that a group has. Where a group has a command that needs no name, a word that names none of the group counts as an
 * argument of that command.
 */
function complaint(command: Command, text: string): string {
  if (text.startsWith("error: unknown option")) return optionHint(command, text);
  if (text.startsWith("error: missing required argument")) return `${text.trimEnd()}\n${usageOf(command)}\n`;
  const isUnknown = text.startsWith("error: unknown command");
  const hasFile = text.startsWith("error: too many") && command.options.some(({ long }) => long === "--file");
  if (hasFile) return `${text.trimEnd()}\ngive the file by --file\n`;
  const group = isUnknown ? command : command.parent;
  const [word, next] = group?.args ?? [];
  if (isUnknown && !command.parent) return otherGroupHint(command, word ?? "", next ?? "") ?? text;
  const isNamed = word === undefined || word === command.name() || word.startsWith("-");
  if (!group?.parent || isNamed || !(isUnknown || text.startsWith("error: too many arguments"))) return text;
  const names = group.commands.map((each) => each.name());
  const verb = verbs.find((same) => same.includes(word))?.find((each) => hasCommand(group, each));
  const hint = verb === undefined ? "" : `; did you mean nexusd ${group.name()} ${verb}?`;
  return `error: unknown command '${printable(word)}': there are ${names.join(", ")}${hint}\n`;
}

/** The settings of a daemon are options that the help of `serve` lists by itself, so that they are no candidates of commander's own hint. */
function optionHint(command: Command, text: string): string {
  const [, flag = ""] = /^error: unknown option '(--[^'=]+)/.exec(text) ?? [];
  if (flag === "" || text.includes("(Did you mean")) return text;
  const meant = didYouMean(
    flag,
    command.options.flatMap(({ long }) => long ?? []),
  );
  return meant === undefined ? text : `${text.trimEnd()}\n(${meant.replace(/^d/, "D")})\n`;
}

/** `usage: nexusd curl <provider> <path>`, where an argument that is one of few words names them. */
function usageOf(command: Command): string {
  const groups: string[] = [];
  for (let group: Command | null = command; group?.parent; group = group.parent) groups.unshift(group.name());
  const args = command.registeredArguments.map((argument) => {
    const name = argument.argChoices?.join("|") ?? argument.name();
    const dots = argument.variadic ? "..." : "";
    return argument.required ? `<${name}${dots}>` : `[${name}${dots}]`;
  });
  return ["usage: nexusd", ...groups, ...args].join(" ");
}

/** `revoke` alone: the groups that have it. `providers plan`: the one group that has `plan`. */
function otherGroupHint(program: Command, word: string, next: string): string | undefined {
  const groupsWith = (verb: string) =>
    program.commands.filter((each) => hasCommand(each, verb)).map((each) => `nexusd ${each.name()} ${verb}`);
  const ofNext = groupsWith(next);
  const meant = [...groupsWith(word), ...(ofNext.length === 1 ? ofNext : [])].join(", or ");
  return meant === "" ? undefined : `error: unknown command '${printable(word)}': did you mean ${meant}?\n`;
}

/** What other programs call the same. */
const verbs = [
  ["show", "get", "describe", "view"],
  ["add", "create", "new"],
  ["delete", "remove", "rm"],
  ["list", "ls"],
  ["approve", "yes"],
  ["deny", "no", "reject"],
];

function hasCommand({ commands }: Command, word: string): boolean {
  return commands.some((each) => each.name() === word);
}

function report(error: unknown, stderr: Output): number {
  // One that commander caught is another error by now, and was printed.
  if (error instanceof InvalidArgumentError) stderr.write(`nexusd: ${error.message}\n`);
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof ConfigError) {
    stderr.write(
      `nexusd: the settings cannot be used\n${error.violations.map((violation) => `  ${violation}\n`).join("")}`,
    );
    return exitCodes.usage;
  }
  if (error instanceof CommandFailure) {
    if (error.message !== "") stderr.write(`nexusd: ${error.message}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`nexusd: this is an error of nexusd: ${text}\n`);
  return exitCodes.failed;
}
