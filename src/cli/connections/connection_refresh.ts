import { Argument, Command } from "commander";
import { RefreshTokenResponseSchema } from "../../gen/nexus/v1/token_pb.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatExpiry, printable } from "../shell/text.js";
import { connectionArgument, foundConnection, withKey } from "./connection_key.js";

export function connectionRefreshCommand(shell: Shell): Command {
  const command = new Command("refresh")
    .description("refresh the token now, whatever its age; agents get the new one at once")
    .addArgument(new Argument("<connection>", connectionArgument));
  addNotes(command, "The token is not shown: nexusd token prints it.");
  return daemonCommand(shell, command, async (session, _flags: DaemonFlags, text: string) => {
    const found = await foundConnection(shell, session, text);
    const connectionId = found.id;
    const answer = await withKey(found, () =>
      session.call(`refresh the connection ${connectionId}`, (options) =>
        session.daemon.tokens.refreshToken({ connectionId }, options),
      ),
    );
    const { token } = answer;
    if (!token) throw new Error("the daemon answered without a token");
    const shown = { ...answer, token: { ...token, credentials: {}, idToken: "" } };
    const expiry = formatExpiry(token.expiresAt, shell.clock.nowMs()) || "does not expire";
    session.show(
      RefreshTokenResponseSchema,
      shown,
      () => `${printable(text.trim())} is refreshed: revision ${token.revision}, ${expiry}\n`,
    );
  });
}
