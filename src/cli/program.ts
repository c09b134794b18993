import { commands } from "./commands.js";
import { completeCommand } from "./completion/completion.js";
import { nextSteps } from "./next_steps.js";
import { runOneOf } from "./run_command.js";
import { refusingAsItLogs } from "./serve_program.js";
import type { Shell } from "./shell/shell.js";

/**
 * Runs one command; without any, says what to do next.
 *
 * @param args what stands after `nexusd`
 * @param process what the command sees of it
 * @returns the exit code
 */
export async function run(args: readonly string[], process: Shell): Promise<number> {
  const rows = [...commands, ...process.extensions.flatMap((extension) => extension.commands ?? [])];
  const command = (shell: Shell) =>
    runOneOf(rows, args, shell, { complete: completeCommand, alone: nextSteps });
  return args[0] === "serve" ? await refusingAsItLogs(args, process, command) : await command(process);
}
