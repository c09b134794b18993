import { Argument, Command } from "commander";
import { ConnectionSchema } from "../../gen/nexus/v1/connection_pb.js";
import { findProvider } from "../providers/provider_key.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine } from "../shell/text.js";
import { connectionArgument, findConnection } from "./connection_key.js";
import { readCredentialFields } from "./credential_input.js";

interface ReplaceFlags extends DaemonFlags {
  readonly file?: string;
}

export function connectionReplaceCommand(shell: Shell): Command {
  const command = new Command("replace")
    .description("replace a key or password that was rotated by hand; agents get the new one at once")
    .addArgument(new Argument("<connection>", connectionArgument))
    .option("--file <file>", "a JSON object of the fields; - is standard input");
  return addDaemonFlags(
    addNotes(
      command,
      "The fields are read from --file, from standard input or from a prompt, never from an argument.",
    ),
  ).action((text: string, flags: ReplaceFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { daemon, call } = session;
      const connectionId = await findConnection(shell, session, text);
      const before = await call(`find the connection ${connectionId}`, (options) =>
        daemon.connections.getConnection({ connectionId }, options),
      );
      const { provider } = await findProvider(session, before.connection?.providerId ?? "");
      const credentials = await readCredentialFields(shell, provider, flags.file);
      const { connection } = await call(`replace the credential of ${connectionId}`, (options) =>
        daemon.connections.replaceCredential({ connectionId, credentials }, options),
      );
      if (!connection) throw new Error("the daemon answered without a connection");
      if (flags.json) return shell.stdout.write(jsonLine(ConnectionSchema, connection));
      shell.stdout.write(`${connectionId} holds the new credential, revision ${connection.revision}\n`);
    }),
  );
}
