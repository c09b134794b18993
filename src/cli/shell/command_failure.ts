import { type ExitCode, exitCodes } from "../../core/exit_codes.js";

/** Ends the command: `message` goes to standard error (an empty one prints nothing), `exitCode` to the caller. Whatever a command calls may throw it. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";

  constructor(
    readonly exitCode: ExitCode | number,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The arguments or the settings cannot be used. */
export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(exitCodes.usage, message);
}
