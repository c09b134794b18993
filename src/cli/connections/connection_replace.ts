import { Argument, Command } from "commander";
import { findProvider } from "../providers/provider_key.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { connectionArgument, findConnection } from "./connection_key.js";
import { readCredentialFields } from "./credential_input.js";

interface ReplaceFlags extends DaemonFlags {
  readonly file?: string;
}

export function connectionReplaceCommand(shell: Shell): Command {
  const command = new Command("replace")
    .description("replace a key or password that was rotated by hand; agents get the new one at once")
    .addArgument(new Argument("<connection>", connectionArgument))
    .option(
      "--file <file>",
      "the key, or a JSON object of the fields where there are several; - is standard input",
    );
  addNotes(
    command,
    "The fields are read from --file, from standard input or from a prompt, never from an argument.",
  );
  return daemonCommand(shell, command, async (session, { file }: ReplaceFlags, text: string) => {
    const { daemon, call, show } = session;
    const connectionId = await findConnection(session, text);
    const before = await call(`find the connection ${connectionId}`, daemon.connections.getConnection, {
      connectionId,
    });
    const { provider } = await findProvider(session, before.connection?.providerId ?? "");
    const credentials = await readCredentialFields(shell, provider, file);
    const { connection } = await call(
      `replace the credential of ${connectionId}`,
      daemon.connections.replaceCredential,
      { connectionId, credentials },
    );
    if (!connection) throw new Error("the daemon answered without a connection");
    show(connection, () => `${connectionId} holds the new credential, revision ${connection.revision}\n`);
  });
}
