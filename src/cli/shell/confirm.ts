import { exitCodes } from "../../daemon/exit_codes.js";
import { CommandFailure } from "./command_failure.js";
import type { Shell } from "./shell.js";

/**
 * Asks a person before something is lost; a script is taken at its word.
 *
 * @throws CommandFailure when the answer is not yes
 */
export async function confirm(
  shell: Shell,
  question: string,
  isAnswered: boolean | undefined,
): Promise<void> {
  if (isAnswered || !shell.stdin.isTTY) return;
  const answer = await shell.stdin.ask(`${question} [y/N] `, { echo: true });
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure(exitCodes.failed, "nothing was changed");
}
