import { Argument, Command } from "commander";
import { exitCodes } from "../../daemon/exit_codes.js";
import { type Token, TokenSchema } from "../../gen/nexus/v1/token_pb.js";
import { CommandFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { durationOf, parseDurationMs } from "../shell/duration.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine, printable } from "../shell/text.js";
import { connectionArgument, findConnection } from "./connection_key.js";

interface TokenFlags extends DaemonFlags {
  readonly minTtl?: number;
}

export function tokenCommand(shell: Shell): Command {
  const command = new Command("token")
    .description("print the current access token or API key and nothing else: $(nexusd token ID) works")
    .addArgument(new Argument("<connection>", connectionArgument))
    .option("--min-ttl <duration>", "how long the token should live at least, as 60s", parseDurationMs);
  return addDaemonFlags(command).action((text: string, flags: TokenFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { daemon, call } = session;
      const connectionId = await findConnection(shell, session, text);
      const minTtl = flags.minTtl === undefined ? {} : { minTtl: durationOf(flags.minTtl) };
      const { token } = await call(`read the token of ${connectionId}`, (options) =>
        daemon.tokens.getToken({ connectionId, ...minTtl }, options),
      );
      if (!token) throw new Error("the daemon answered without a token");
      shell.stdout.write(flags.json ? jsonLine(TokenSchema, token) : `${rawToken(token)}\n`);
    }),
  );
}

/** The one value of a credential: what its strategy carries, or its only field. */
function rawToken({ strategy, credentials }: Token): string {
  const { kind } = strategy ?? {};
  const named =
    kind?.case === "oauth2" || kind?.case === "header" || kind?.case === "queryParam"
      ? credentials[kind.value.credentialField]
      : undefined;
  const names = Object.keys(credentials).sort();
  const value =
    named ?? credentials["access_token"] ?? (names.length === 1 ? credentials[names[0] ?? ""] : undefined);
  if (value === undefined || value === "") {
    throw new CommandFailure(
      exitCodes.failed,
      printable(
        `the credential of this connection is not a single token, it has the fields ${names.join(", ")}: use --json`,
      ),
    );
  }
  return value;
}
