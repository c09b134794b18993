import type { Connection } from "../../gen/nexus/v1/connection_pb.js";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import { type ConnectionName, namePath } from "../../model/connections/connection_name.js";
import { isId } from "../../model/ids.js";
import {
  isMcpServerUrl,
  type McpClientFlags,
  providerOfMcpServer,
  refuseClientFlags,
} from "../providers/mcp_provider.js";
import { findProvider, providerNamed } from "../providers/provider_key.js";
import { usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";
import { connectionName, connectionNamed, findConnection, readConnection } from "./connection_key.js";

/** The flags that say which connection is meant. */
export interface TargetFlags extends McpClientFlags {
  readonly user?: string;
  readonly connection?: string;
  readonly label?: string;
}

/** The connection whose consent is requested. */
export interface ConnectTarget {
  /** Name or id; undefined where the connection alone was given. */
  readonly provider: string | undefined;
  /** Empty, as the label, where the connection alone was given. */
  readonly userId: string;
  readonly label: string;
  /** The connection whose consent is requested again; undefined for a new one. */
  readonly before: Connection | undefined;
}

/**
 * What the argument and the flags of `connect` mean. A name that a connection has means that connection, as it does to `AcquireToken`;
 * one that was revoked gives its name to a new one.
 *
 * @param given name or id of a provider, the URL of an MCP server, or PROVIDER/USER[/LABEL]
 */
export async function connectTarget(
  session: DaemonSession,
  given: string | undefined,
  flags: TargetFlags,
): Promise<ConnectTarget> {
  if (given !== undefined && isMcpServerUrl(given)) {
    return await named(session, await providerOfMcpServer(session, given, flags), flags);
  }
  refuseClientFlags(flags);
  if (given?.includes("/")) {
    const { providerName, ...account } = wholeName(session.shell, given, flags);
    return await named(session, providerName, { user: account.userId, label: account.label });
  }
  if (given === undefined && flags.connection === undefined) {
    throw usageFailure("name a provider, or a connection with --connection");
  }
  return await named(session, given && (await providerNamed(session, given)), flags);
}

async function named(
  session: DaemonSession,
  provider: string | undefined,
  { connection, user, label = "" }: TargetFlags,
): Promise<ConnectTarget> {
  if (provider === undefined || connection !== undefined) {
    const before = await readConnection(session, await findConnection(session, connection ?? ""));
    return { provider, userId: user ?? "", label, before };
  }
  const userId = user ?? session.shell.userName();
  const id = provider.trim().toLowerCase();
  const providerName = isId(id) ? (await findProvider(session, id)).provider.name : provider;
  // What can be no name is for the daemon to refuse.
  const name = connectionName(session.shell, namePath({ providerName, userId, label }));
  const found = name && (await connectionNamed(session, name));
  const before = found?.status === ConnectionStatus.REVOKED ? undefined : found;
  return { provider, userId, label, before };
}

/** @throws CommandFailure for what is no name, and for flags that say otherwise */
function wholeName(shell: Shell, given: string, { connection, user, label }: TargetFlags): ConnectionName {
  const name = connectionName(shell, given);
  if (!name) {
    throw usageFailure(
      `${printable(JSON.stringify(given))} names no connection: write PROVIDER/USER or PROVIDER/USER/LABEL`,
    );
  }
  const contradicting = [
    ...(connection === undefined ? [] : ["--connection"]),
    ...(user === undefined || user === name.userId ? [] : ["--user"]),
    ...(label === undefined || label === name.label ? [] : ["--label"]),
  ];
  if (contradicting.length > 0) {
    throw usageFailure(
      `${printable(given)} already says whose connection it is: leave out ${contradicting.join(" and ")}`,
    );
  }
  return name;
}
