import { Argument, Command } from "commander";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";
import { completionOf } from "./candidates.js";
import { knownNames } from "./known_names.js";
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

/** For the scripts of the shells: the words that may stand in place of the last, a line each, a tab before what it means. */
export function completeCommand(shell: Shell): Command {
  return new Command("complete")
    .description("for shells: print the words that may stand in place of the last")
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
