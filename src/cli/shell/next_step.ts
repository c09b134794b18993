import { type Code, ConnectError } from "@connectrpc/connect";
import { CommandFailure } from "./command_failure.js";
import { printable } from "./text.js";

/** Does `work`; where the daemon refuses it with this code, the failure says what to do next. @throws CommandFailure */
export async function withStep<Answer>(
  code: Code,
  step: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure && error.cause instanceof ConnectError)) throw error;
    if (error.cause.code !== code) throw error;
    throw new CommandFailure(error.exitCode, `${error.message}\n${printable(step)}`, error.cause);
  }
}
