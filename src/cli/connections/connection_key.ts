import { exitCodes } from "../../daemon/exit_codes.js";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import { isId } from "../../model/ids.js";
import { findProvider } from "../providers/provider_key.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

/** What a command takes for a connection, for its help. */
export const connectionArgument =
  "a connection: its id, or PROVIDER[/USER]; USER is your login name by default";

/**
 * Finds the connection that a person means.
 *
 * @returns the id; that of a whole id is not looked up
 * @throws CommandFailure
 */
export async function findConnection(
  shell: Pick<Shell, "userName">,
  session: DaemonSession,
  text: string,
): Promise<string> {
  const given = text.trim();
  if (isId(given.toLowerCase())) return given.toLowerCase();
  const [, providerName = "", userId = shell.userName()] = /^([^/]*)(?:\/(.*))?$/s.exec(given) ?? [];
  const { provider } = await findProvider(session, providerName);
  const { connections } = await session.call(`find the connection of ${userId}`, (options) =>
    session.daemon.connections.listConnections({ pageSize: 1000, providerId: provider.id, userId }, options),
  );
  const [found, ...others] = connections.filter(({ status }) => status !== ConnectionStatus.REVOKED);
  if (found === undefined) {
    throw new CommandFailure(exitCodes.failed, printable(`${userId} has no connection to ${provider.name}`));
  }
  if (others.length === 0) return found.id;
  const ids = [found, ...others].map(({ id }) => `  ${id}`);
  throw usageFailure(
    [printable(`${userId} has several connections to ${provider.name}: give the id of one`), ...ids].join(
      "\n",
    ),
  );
}
