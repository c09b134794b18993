import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { AuthType } from "../../gen/nexus/v1/provider_pb.js";
import { isId } from "../../model/ids.js";
import { findProvider, providerArgument } from "../providers/provider_key.js";
import { usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { listOption } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatStatus } from "../shell/text.js";
import { connectionArgument, findConnection, readConnection } from "./connection_key.js";
import { readCredentialFields, readTokenLine } from "./credential_input.js";

interface ImportFlags extends DaemonFlags {
  readonly user?: string;
  readonly file?: string;
  readonly scopes?: string[];
  readonly id?: string;
  readonly accessToken?: boolean;
  readonly expires?: Date;
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
    .addOption(listOption("scopes", "the scopes that were granted"))
    .addOption(
      new Option("--id <uuid>", "id of the connection, to keep the one of another system").argParser(parseId),
    )
    .option("--access-token", "read an access token, of a provider that issues no refresh tokens")
    .addOption(
      new Option("--expires <time>", "when the access token expires, such as 2027-01-31T12:00:00Z").argParser(
        parseTime,
      ),
    );
  return daemonCommand(shell, command, async (session, flags: ImportFlags, idOrName: string) => {
    const { provider } = await findProvider(session, idOrName);
    const userId = flags.user ?? shell.userName();
    const credential =
      provider.authType === AuthType.OAUTH2
        ? await readToken(shell, flags)
        : { credentials: await readCredentialFields(shell, provider, flags.file) };
    const { connection } = await session.call(
      `import the credential for ${provider.name}`,
      session.daemon.connections.importConnection,
      { userId, providerId: provider.id, scopes: flags.scopes ?? [], id: flags.id ?? "", ...credential },
    );
    if (!connection) throw new Error("the daemon answered without a connection");
    session.show(connection, () => `${connection.id} is ${formatStatus(connection.status)}\n`);
  });
}

async function readToken(shell: Shell, { accessToken, expires, file }: ImportFlags) {
  if (accessToken !== true) {
    if (expires)
      throw usageFailure("--expires is for --access-token: nexusd learns when other tokens expire");
    return { refreshToken: await readTokenLine(shell, file, "refresh token") };
  }
  const accessTokenExpiresAt = expires && timestampFromDate(expires);
  const token = await readTokenLine(shell, file, "access token");
  return { accessToken: token, ...(accessTokenExpiresAt && { accessTokenExpiresAt }) };
}

function parseId(text: string): string {
  const id = text.toLowerCase();
  if (isId(id)) return id;
  throw new InvalidArgumentError("It must be a UUID.");
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\dT.+(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError("It must be a time with its zone, such as 2027-01-31T12:00:00Z.");
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
