import { Command, Option } from "commander";
import {
  addAddressFlags,
  addNotes,
  CommandFailure,
  credentialArgument,
  credentialValue,
  type DaemonFlags,
  type DaemonSession,
  parseCredentialName,
  parseDurationMs,
  printable,
  readCredential,
  type Shell,
  usageFailure,
  withDaemon,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";

interface ExecFlags extends DaemonFlags {
  readonly env?: readonly CredentialVariable[];
  readonly minTtl?: number;
}

/** A variable of the program, and what it holds. */
interface CredentialVariable {
  readonly name: string;
  readonly credential: string;
}

export function execCommand(shell: Shell): Command {
  const command = new Command("exec")
    .description("run a program with credentials in its environment")
    .argument("<command...>", "the program and its arguments, after --")
    .addOption(
      new Option("--env <name=connection>", "a variable and its credential; repeatable").argParser(
        collectVariable,
      ),
    )
    .option("--min-ttl <duration>", "minimum remaining lifetime of each token, such as 60s", parseDurationMs);
  addNotes(
    addAddressFlags(command),
    `A variable holds the credential of ${credentialArgument}.`,
    "nexusd forwards signals. The exit code is the program's, or 128 plus the number of the signal that ended it. It is 127 if there is no such program, and 126 if it cannot be started. Before the start, it is that of nexusd.",
  );
  return command.action((argv: string[], flags: ExecFlags) => execute(shell, argv, flags));
}

async function execute(shell: Shell, argv: readonly string[], flags: ExecFlags): Promise<void> {
  const { env: variables = [] } = flags;
  if (variables.length === 0)
    throw usageFailure("name at least one variable, such as --env GITHUB_TOKEN=github");
  const values: Record<string, string> = {};
  await withDaemon(shell, flags, async (session) => {
    for (const variable of variables) values[variable.name] = await valueFor(session, variable, flags.minTtl);
  });
  // The key of this command may read more than the credentials that the program was given.
  const { NEXUS_API_KEY: _, ...env } = shell.env;
  const code = await shell.runProgram(argv, { ...env, ...values });
  if (code !== exitCodes.ok) throw new CommandFailure(code, "");
}

async function valueFor(
  session: DaemonSession,
  { name, credential }: CredentialVariable,
  minTtlMs: number | undefined,
): Promise<string> {
  const found = await readCredential(session, credential, { minTtlMs }).catch((error: unknown) => {
    if (!(error instanceof CommandFailure)) throw error;
    // Of several variables, the one that cannot be filled.
    throw new CommandFailure(error.exitCode, `--env ${name}: ${error.message}`, error.cause);
  });
  const { value } = credentialValue(found);
  // Each would be cut there without a word.
  if (!value.includes("\0")) return value;
  throw new CommandFailure(
    exitCodes.failed,
    `${name}: the credential holds a byte that no variable can hold`,
  );
}

function collectVariable(text: string, before: readonly CredentialVariable[] = []): CredentialVariable[] {
  const [, name, credential = ""] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) {
    throw usageFailure(`--env ${printable(text)} must be NAME=CONNECTION, such as GITHUB_TOKEN=github`);
  }
  if (before.some((other) => other.name === name)) throw usageFailure(`--env names ${name} twice`);
  parseCredentialName(credential);
  return [...before, { name, credential }];
}
