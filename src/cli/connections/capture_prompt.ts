import { exitCodes } from "../../daemon/exit_codes.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { readCredentialFields } from "./credential_input.js";

const maxAttempts = 3;

/**
 * Completes a request of a static type with what a person enters, unseen. Values that the provider or the daemon refuses are asked
 * for again: they leave the request as it was.
 *
 * @param state of the request
 * @throws CommandFailure after the third refusal
 */
export async function captureAtPrompt(
  shell: Shell,
  session: DaemonSession,
  provider: Provider,
  state: string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const credentials = await readCredentialFields(shell, provider, undefined);
    try {
      await session.call(
        `take the credential for ${provider.name}`,
        session.daemon.connections.captureCredential,
        { state, credentials },
      );
      return;
    } catch (error) {
      const isRefused = error instanceof CommandFailure && error.exitCode === exitCodes.failed;
      if (!isRefused || attempt === maxAttempts) throw error;
      shell.stderr.write(`${error.message}\nEnter it again:\n`);
    }
  }
}
