import { Argument, Command } from "commander";
import {
  addNotes,
  allProviders,
  type DaemonFlags,
  type DaemonSession,
  formatStatus,
  listTemplates,
  printable,
  type Shell,
  withDaemon,
} from "../../cli/kit.js";
import { namePath } from "../../model/connections/connections.js";
import { delay } from "../../runtime/runtime.js";
import { type Candidate, type Completion, completionOf } from "./candidates.js";
import { filesMark, type ShellName, scripts, shells } from "./scripts.js";

export function completionCommand(shell: Shell): Command {
  const command = new Command("completion")
    .addArgument(new Argument("<shell>", "which shell").choices(shells))
    .action((name: ShellName) => shell.stdout.write(scripts[name]));
  return addNotes(
    command,
    'bash: eval "$(nexusd completion bash)" in ~/.bashrc. zsh: eval "$(nexusd completion zsh)" in ~/.zshrc, after compinit. fish: nexusd completion fish > ~/.config/fish/completions/nexusd.fish. Names of providers, templates and connections are asked of the daemon.',
  );
}

/** For the scripts of the shells: the words that may replace the last, a line each, a tab before what it means. */
export function completeCommand(shell: Shell): Command {
  return new Command("complete")
    .description("for shells: print the words that may replace the last")
    .argument("[words...]", "what stands after nexusd, after --")
    .action(async (words: string[], _flags: unknown, command: Command) => {
      const program = command.parent;
      if (!program) throw new Error("the command stands alone");
      const completion = completionOf(program, words);
      if (completion.kind === "files") return shell.stdout.write(`${filesMark}\n`);
      const found = completion.kind === "words" ? completion.words : await knownNames(shell, completion);
      const last = words.at(-1) ?? "";
      for (const { word, description } of found) {
        if (word.startsWith(last)) shell.stdout.write(`${printable(word)}\t${printable(description)}\n`);
      }
    });
}

type NameCompletion = Extract<Completion, { readonly leaf: unknown }>;

/** A person waits for it at each Tab. */
const timeoutMs = 1_000;
/** If there are more, the user types more of the name. */
const maxConnections = 200;

/** The names that the daemon knows; none when it cannot be reached. Nothing is written to the shell's outputs. */
async function knownNames(
  shell: Shell,
  { kind, leaf, given }: NameCompletion,
): Promise<readonly Candidate[]> {
  const quiet = { ...shell, stderr: { ...shell.stderr, write: () => {} } };
  let names: readonly Candidate[] = [];
  const lookup = withDaemon(quiet, flagsOf(leaf, given), async (session) => {
    names = await readers[kind](session);
  }).catch(() => {});
  await Promise.race([lookup, delay(shell.clock, timeoutMs)]);
  return names;
}

const readers: Readonly<Record<NameCompletion["kind"], (session: DaemonSession) => Promise<Candidate[]>>> = {
  providers: async (session) =>
    (await allProviders(session)).map(({ name, description }) => ({ word: name, description })),
  templates: async (session) =>
    (await listTemplates(session, "")).map(({ name, displayName }) => ({
      word: name,
      description: displayName,
    })),
  connections: async ({ daemon, call }) => {
    const { connections } = await call("list the connections", daemon.connections.listConnections, {
      pageSize: maxConnections,
    });
    return connections.map((connection) => ({
      word: namePath(connection),
      description: formatStatus(connection.status),
    }));
  },
};

/** Where the daemon is, as far as the command line shows it. */
function flagsOf(leaf: NameCompletion["leaf"], given: readonly string[]): DaemonFlags {
  try {
    leaf.parseOptions([...given]);
    return leaf.opts();
  } catch {
    return {};
  }
}
