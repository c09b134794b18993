import { ConnectError } from "@connectrpc/connect";
import { Argument, Command } from "commander";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { findProvider } from "../providers/provider_key.js";
import { isOAuth2 } from "../providers/provider_words.js";
import { CommandFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatExpiry, printable } from "../shell/text.js";
import { connectionArgument, foundConnection, readConnection, shownName, withKey } from "./connection_key.js";

export function connectionRefreshCommand(shell: Shell): Command {
  const command = new Command("refresh")
    .description("refresh the token now, whatever its age; agents get the new one at once")
    .addArgument(new Argument("<connection>", connectionArgument));
  addNotes(command, "The token is not shown: nexusd token prints it.");
  return daemonCommand(shell, command, async (session, _flags: DaemonFlags, text: string) => {
    const found = await foundConnection(session, text);
    const connectionId = found.id;
    const refreshed = withKey(found, () =>
      session.call(`refresh the connection ${connectionId}`, session.daemon.tokens.refreshToken, {
        connectionId,
      }),
    );
    const answer = await refreshed.catch(async (error: unknown) => {
      throw (await replacedByHand(session, connectionId, error)) ?? error;
    });
    const { token } = answer;
    if (!token) throw new Error("the daemon answered without a token");
    const shown = { ...answer, token: { ...token, credentials: {} } };
    const expiry = formatExpiry(token.expiresAt, shell.clock.nowMs()) || "does not expire";
    session.show(
      shown,
      () => `${printable(text.trim())} is refreshed: revision ${token.revision}, ${expiry}\n`,
    );
  });
}

/** What a person does about a key, which nobody consents to; undefined for any other credential and failure. */
async function replacedByHand(
  session: DaemonSession,
  connectionId: string,
  error: unknown,
): Promise<CommandFailure | undefined> {
  if (!(error instanceof CommandFailure && error.cause instanceof ConnectError)) return undefined;
  if (error.cause.findDetails(ErrorInfoSchema)[0]?.reason !== "NOT_REFRESHABLE") return undefined;
  try {
    const connection = await readConnection(session, connectionId);
    const { provider } = await findProvider(session, connection.providerId);
    if (isOAuth2(provider)) return undefined;
    const step = `replace it by hand: nexusd connections replace ${await shownName(session, connection)}`;
    return new CommandFailure(error.exitCode, `${error.message.split("\n")[0]}\n${step}`, error.cause);
  } catch {
    return undefined;
  }
}
