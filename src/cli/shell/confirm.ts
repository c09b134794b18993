import { exitCodes } from "../../core/exit_codes.js";
import { CommandFailure, usageFailure } from "./command_failure.js";
import type { Shell } from "./shell.js";

/**
 * Asks a person before something is changed for good.
 *
 * @param isYes whether `--yes` was given
 * @throws CommandFailure when the answer is not yes, or there is no terminal to ask at
 */
export async function confirm(shell: Shell, question: string, isYes: boolean | undefined): Promise<void> {
  if (isYes) return;
  if (!shell.stdin.isTTY) throw usageFailure("there is no terminal to confirm at: use --yes");
  if (!(await askYes(shell, question, false)))
    throw new CommandFailure(exitCodes.failed, "nothing was changed");
}

/** @param fallback what an empty answer means */
export async function askYes({ stdin }: Shell, question: string, fallback: boolean): Promise<boolean> {
  const answer = (await stdin.ask(`${question} ${fallback ? "[Y/n]" : "[y/N]"} `, { echo: true })).trim();
  return answer === "" ? fallback : /^y(es)?$/i.test(answer);
}
