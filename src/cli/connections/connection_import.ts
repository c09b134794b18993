import { readFileSync } from "node:fs";
import { Argument, Command } from "commander";
import { ConnectionSchema } from "../../gen/nexus/v1/connection_pb.js";
import { AuthType, type Provider } from "../../gen/nexus/v1/provider_pb.js";
import { findProvider } from "../providers/provider_key.js";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatStatus, jsonLine } from "../shell/text.js";

interface ImportFlags extends DaemonFlags {
  readonly user?: string;
  readonly file?: string;
  readonly scope?: string[];
}

export function connectionImportCommand(shell: Shell): Command {
  const command = new Command("import")
    .description(
      "make a connection of a refresh token or key of another system; it is read from a prompt, a file or standard input",
    )
    .addArgument(new Argument("<provider>", "name or id of the provider"))
    .option("--user <id>", "the user of the connection; the default is your login name")
    .option(
      "--file <file>",
      "file with the refresh token, or for a static type with a JSON object of its fields; - is standard input",
    )
    .option(
      "--scope <scope>",
      "a scope that was granted; may be repeated",
      (scope, before: string[] = []) => [...before, scope],
    );
  return addDaemonFlags(command).action((idOrName: string, flags: ImportFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { provider } = await findProvider(session, idOrName);
      const userId = flags.user ?? shell.userName();
      const credential = await readCredential(shell, provider, flags.file);
      const { connection } = await session.call(`import the credential for ${provider.name}`, (options) =>
        session.daemon.connections.importConnection(
          { userId, providerId: provider.id, scopes: flags.scope ?? [], ...credential },
          options,
        ),
      );
      if (!connection) throw new Error("the daemon answered without a connection");
      if (flags.json) return shell.stdout.write(jsonLine(ConnectionSchema, connection));
      shell.stdout.write(`${connection.id} is ${formatStatus(connection.status)}\n`);
    }),
  );
}

type ImportedCredential =
  | { readonly refreshToken: string }
  | { readonly credentials: Readonly<Record<string, string>> };

async function readCredential(
  shell: Shell,
  provider: Provider,
  file: string | undefined,
): Promise<ImportedCredential> {
  const isOAuth2 = provider.authType === AuthType.OAUTH2;
  const text = await readSecret(shell, file);
  if (text !== undefined)
    return isOAuth2 ? { refreshToken: oneLine(text) } : { credentials: parseFields(text) };
  const ask = async (name: string): Promise<string> =>
    oneLine(await shell.stdin.ask(`${name}: `, { echo: false }));
  if (isOAuth2) return { refreshToken: await ask("Refresh token") };
  const credentials: Record<string, string> = {};
  for (const name of fieldNames(provider)) credentials[name] = await ask(name);
  return { credentials };
}

/** Undefined when a person sits there, who is asked instead. */
async function readSecret(shell: Shell, file: string | undefined): Promise<string | undefined> {
  if (file === undefined || file === "-") return shell.stdin.isTTY ? undefined : await shell.stdin.readAll();
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usageFailure(`--file: ${file} cannot be read: ${code}`);
  }
}

/** Messages never hold what was read. */
function oneLine(text: string): string {
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw usageFailure("the credential is empty");
  if (/[\r\n]/.test(value)) throw usageFailure("the credential must be one line");
  return value;
}

function parseFields(text: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw usageFailure("the credential of a static type must be a JSON object of its fields");
  }
  const entries =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length === 0 || entries.some(([, field]) => typeof field !== "string")) {
    throw usageFailure("the credential of a static type must be a JSON object whose values are texts");
  }
  return Object.fromEntries(entries as [string, string][]);
}

/** What the strategy reads; a schema of the profile may want more, and then a file does. */
function fieldNames({ strategy }: Provider): string[] {
  const kind = strategy?.kind;
  switch (kind?.case) {
    case "header":
    case "queryParam":
    case "oauth2":
      return [kind.value.credentialField || "api_key"];
    case "basicAuth":
      return [kind.value.usernameField || "username", kind.value.passwordField || "password"];
    case "hmacPayload":
      return [kind.value.secretField || "api_secret"];
    case "awsSigv4":
      return ["access_key", "secret_key"];
    default:
      throw usageFailure(
        "the fields of this provider are not known: give them with --file, as a JSON object",
      );
  }
}
