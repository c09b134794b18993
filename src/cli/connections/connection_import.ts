import { Argument, Command } from "commander";
import { AuthType } from "../../gen/nexus/v1/provider_pb.js";
import { findProvider, providerArgument } from "../providers/provider_key.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { listOption } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatStatus } from "../shell/text.js";
import { connectionArgument, findConnection, readConnection } from "./connection_key.js";
import { readCredentialFields, readRefreshToken } from "./credential_input.js";

interface ImportFlags extends DaemonFlags {
  readonly user?: string;
  readonly file?: string;
  readonly scopes?: string[];
}

export function connectionImportCommand(shell: Shell): Command {
  const command = new Command("import")
    .description(
      "import a refresh token or key from another system; read from a prompt, a file, or standard input",
    )
    .addArgument(new Argument("<provider>", providerArgument))
    .option("--user <id>", "user of the connection (default: your login name)")
    .option(
      "--file <file>",
      "file with the refresh token or key, or a JSON object if there are several fields; - is standard input",
    )
    .addOption(listOption("scopes", "the scopes that were granted"));
  return daemonCommand(shell, command, async (session, flags: ImportFlags, idOrName: string) => {
    const { provider } = await findProvider(session, idOrName);
    const userId = flags.user ?? shell.userName();
    const credential =
      provider.authType === AuthType.OAUTH2
        ? { refreshToken: await readRefreshToken(shell, flags.file) }
        : { credentials: await readCredentialFields(shell, provider, flags.file) };
    const { connection } = await session.call(
      `import the credential for ${provider.name}`,
      session.daemon.connections.importConnection,
      { userId, providerId: provider.id, scopes: flags.scopes ?? [], ...credential },
    );
    if (!connection) throw new Error("the daemon answered without a connection");
    session.show(connection, () => `${connection.id} is ${formatStatus(connection.status)}\n`);
  });
}

interface ReplaceFlags extends DaemonFlags {
  readonly file?: string;
}

export function connectionReplaceCommand(shell: Shell): Command {
  const command = new Command("replace")
    .description("replace a key or password that you rotated; agents get the new one at once")
    .addArgument(new Argument("<connection>", connectionArgument))
    .option("--file <file>", "the key, or a JSON object if there are several fields; - is standard input");
  addNotes(command, "The fields are read from --file, standard input, or a prompt, never from an argument.");
  return daemonCommand(shell, command, async (session, { file }: ReplaceFlags, text: string) => {
    const { daemon, call, show } = session;
    const connectionId = await findConnection(session, text);
    const { providerId } = await readConnection(session, connectionId);
    const { provider } = await findProvider(session, providerId);
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
