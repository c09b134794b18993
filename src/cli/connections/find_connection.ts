import { exitCodes } from "../../daemon/exit_codes.js";
import { type Connection, ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { isId } from "../../model/ids.js";
import { findProvider } from "../providers/provider_key.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import { allPages, type DaemonSession } from "../shell/daemon_command.js";
import { printable, shellWord } from "../shell/text.js";

/**
 * The id of the connection that a person names: by its id, or by the name or id of its provider, with `/USER` where more than one
 * user has one.
 *
 * @throws CommandFailure
 */
export async function findConnectionId(session: DaemonSession, name: string): Promise<string> {
  const key = parseName(name);
  if ("id" in key) return key.id;
  const { provider } = await findProvider(session, key.provider);
  const connections = await connectionsOf(session, provider.id, key.userId);
  const holding = connections.filter(({ status }) =>
    [ConnectionStatus.ACTIVE, ConnectionStatus.ATTENTION].includes(status),
  );
  const [first, ...others] = holding.length > 0 ? holding : connections;
  if (first === undefined) throw noConnection(provider.name, key.userId);
  if (others.length > 0) throw severalConnections(provider.name, [first, ...others]);
  return first.id;
}

/**
 * The profile of the connection that a person names so, be there one yet or not.
 *
 * @throws CommandFailure
 */
export async function findProviderOf(session: DaemonSession, name: string): Promise<Provider> {
  const key = parseName(name);
  if ("provider" in key) return (await findProvider(session, key.provider)).provider;
  const { connection } = await session.call(`read the connection ${key.id}`, (options) =>
    session.daemon.connections.getConnection({ connectionId: key.id }, options),
  );
  return (await findProvider(session, connection?.providerId ?? "")).provider;
}

function parseName(
  name: string,
): { readonly id: string } | { readonly provider: string; readonly userId: string } {
  const text = name.trim();
  if (isId(text.toLowerCase())) return { id: text.toLowerCase() };
  const [, provider = "", userId = ""] = /^([^/]*)(?:\/(.*))?$/s.exec(text) ?? [];
  if (provider !== "") return { provider, userId };
  throw usageFailure(
    `${printable(JSON.stringify(name))} names no connection: it must be an id, PROVIDER or PROVIDER/USER`,
  );
}

/** One that was revoked never comes back, so that it is never meant. */
async function connectionsOf(
  { daemon, call }: DaemonSession,
  providerId: string,
  userId: string,
): Promise<Connection[]> {
  const all = await allPages(async (pageToken) => {
    const { connections, nextPageToken } = await call("list the connections", (options) =>
      daemon.connections.listConnections({ pageSize: 1000, providerId, userId, pageToken }, options),
    );
    return { items: connections, nextPageToken };
  });
  return all.filter(({ status }) => status !== ConnectionStatus.REVOKED);
}

function noConnection(provider: string, userId: string): CommandFailure {
  const whose = userId === "" ? "" : ` of ${printable(userId)}`;
  const user = userId === "" ? "" : ` --user ${shellWord(userId)}`;
  return new CommandFailure(
    exitCodes.attentionNeeded,
    `there is no connection${whose} to ${provider}\na person can consent: nexusd connect ${provider}${user}`,
  );
}

function severalConnections(provider: string, connections: readonly Connection[]): CommandFailure {
  const users = new Set(connections.map(({ userId }) => userId));
  const choices = connections.map(({ id, userId }) =>
    users.size === connections.length
      ? `  ${shellWord(`${provider}/${userId}`)}`
      : `  ${id}  of ${printable(userId)}`,
  );
  return usageFailure(
    `${provider} names ${connections.length} connections: name one of\n${choices.sort().join("\n")}`,
  );
}
