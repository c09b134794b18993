import { Argument, Command, Option } from "commander";
import {
  type Connection,
  ConnectionSchema,
  ConnectionStatus,
  DeleteConnectionResponseSchema,
  ProviderRevocation,
} from "../../gen/nexus/v1/connection_pb.js";
import {
  connectionStatuses,
  type ConnectionStatus as StatusName,
} from "../../model/connections/connection.js";
import { findProvider } from "../providers/provider_key.js";
import { confirm } from "../shell/confirm.js";
import {
  addDaemonFlags,
  allPages,
  type DaemonFlags,
  type DaemonSession,
  withDaemon,
} from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import {
  formatExpiry,
  formatFields,
  formatStatus,
  formatTable,
  formatTime,
  jsonLine,
  shortId,
} from "../shell/text.js";
import { connectionImportCommand } from "./connection_import.js";
import { connectionArgument, findConnection } from "./connection_key.js";
import { connectionReplaceCommand } from "./connection_replace.js";

interface ListFlags extends DaemonFlags {
  readonly user?: string;
  readonly provider?: string;
  readonly status?: StatusName;
}

interface EndFlags extends DaemonFlags {
  readonly yes?: boolean;
}

export function connectionsCommand(shell: Shell): Command {
  return new Command("connections")
    .alias("connection")
    .description("list, show, import, fix and end connections")
    .addCommand(listCommand(shell), { isDefault: true })
    .addCommand(getCommand(shell))
    .addCommand(connectionImportCommand(shell))
    .addCommand(connectionReplaceCommand(shell))
    .addCommand(revokeCommand(shell))
    .addCommand(deleteCommand(shell));
}

function connectionOf(): Argument {
  return new Argument("<connection>", connectionArgument);
}

function listCommand(shell: Shell): Command {
  const command = new Command("list")
    .description("list connections (also what nexusd connections does)")
    .option("--user <id>", "only connections of this user")
    .option("--provider <provider>", "only connections of this provider, by name or id")
    .addOption(new Option("--status <status>", "only connections in this state").choices(connectionStatuses));
  return addDaemonFlags(command).action((flags: ListFlags) =>
    withDaemon(shell, flags, async (session) => {
      const connections = await allConnections(session, flags);
      if (flags.json) {
        for (const connection of connections) shell.stdout.write(jsonLine(ConnectionSchema, connection));
        return;
      }
      if (connections.length === 0) return shell.stderr.write("no connections\n");
      const rows = connections.map((connection) => [
        shortId(connection.id),
        connection.providerName,
        accountOf(connection),
        formatStatus(connection.status),
        String(connection.revision),
        formatExpiry(connection.expiresAt, shell.clock.nowMs()),
        connection.problem?.reason ?? "",
      ]);
      shell.stdout.write(
        formatTable(["ID", "PROVIDER", "USER", "STATUS", "REVISION", "TOKEN", "PROBLEM"], rows),
      );
    }),
  );
}

function getCommand(shell: Shell): Command {
  const command = new Command("get").description("show one connection").addArgument(connectionOf());
  return addDaemonFlags(command).action((text: string, flags: DaemonFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { daemon, call } = session;
      const connectionId = await findConnection(shell, session, text);
      const { connection } = await call(`read the connection ${connectionId}`, (options) =>
        daemon.connections.getConnection({ connectionId }, options),
      );
      if (connection) show(shell, flags, connection);
    }),
  );
}

const providerRevocations: Readonly<Record<ProviderRevocation, string | undefined>> = {
  [ProviderRevocation.UNSPECIFIED]: undefined,
  [ProviderRevocation.NOT_NEEDED]: "the provider had nothing to revoke",
  [ProviderRevocation.PENDING]: "the provider has not answered yet, the daemon goes on asking it",
  [ProviderRevocation.DONE]: "the provider revoked its token too",
  [ProviderRevocation.NOT_POSSIBLE]:
    "the provider cannot be told, and its token lives there until it expires; withdraw the consent in the provider's own settings",
};

function revokeCommand(shell: Shell): Command {
  const command = new Command("revoke")
    .description("end a connection for good: its credentials are erased, its record stays")
    .addArgument(connectionOf())
    .option("--yes", "do not ask");
  return addDaemonFlags(command).action((text: string, flags: EndFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { daemon, call } = session;
      const connectionId = await findConnection(shell, session, text);
      await confirm(shell, `Revoke the connection ${connectionId}? This is final.`, flags.yes);
      const { connection } = await call(`revoke the connection ${connectionId}`, (options) =>
        daemon.connections.revokeConnection({ connectionId }, options),
      );
      if (flags.json && connection) return shell.stdout.write(jsonLine(ConnectionSchema, connection));
      const told = connection && providerRevocations[connection.providerRevocation];
      shell.stdout.write(`${connectionId} is revoked${told === undefined ? "" : `: ${told}`}\n`);
    }),
  );
}

function deleteCommand(shell: Shell): Command {
  const command = new Command("delete")
    .description("erase a connection with its credentials")
    .addArgument(connectionOf())
    .option("--yes", "do not ask");
  return addDaemonFlags(command).action((text: string, flags: EndFlags) =>
    withDaemon(shell, flags, async (session) => {
      const { daemon, call } = session;
      const connectionId = await findConnection(shell, session, text);
      await confirm(shell, `Delete the connection ${connectionId}? This is final.`, flags.yes);
      const answer = await call(`delete the connection ${connectionId}`, (options) =>
        daemon.connections.deleteConnection({ connectionId }, options),
      );
      if (flags.json) return shell.stdout.write(jsonLine(DeleteConnectionResponseSchema, answer));
      shell.stdout.write(`${connectionId} is deleted\n`);
    }),
  );
}

async function allConnections(session: DaemonSession, flags: ListFlags): Promise<Connection[]> {
  const providerId =
    flags.provider === undefined ? "" : (await findProvider(session, flags.provider)).provider.id;
  const filter = {
    pageSize: 1000,
    providerId,
    userId: flags.user ?? "",
    status: flags.status === undefined ? ConnectionStatus.UNSPECIFIED : statusNumber(flags.status),
  };
  return allPages(async (pageToken) => {
    const { connections, nextPageToken } = await session.call("list the connections", (options) =>
      session.daemon.connections.listConnections({ ...filter, pageToken }, options),
    );
    return { items: connections, nextPageToken };
  });
}

/** The user, with the label of the account where it has one. */
function accountOf({ userId, label }: Connection): string {
  return label === "" ? userId : `${userId}/${label}`;
}

function statusNumber(name: StatusName): ConnectionStatus {
  return connectionStatuses.indexOf(name) + 1;
}

function show(shell: Shell, flags: DaemonFlags, connection: Connection): void {
  if (flags.json) {
    shell.stdout.write(jsonLine(ConnectionSchema, connection));
    return;
  }
  const { problem } = connection;
  const fields: [string, string][] = [
    ["id", connection.id],
    ["provider", connection.providerName],
    ["user", connection.userId],
    ["label", connection.label],
    ["status", formatStatus(connection.status)],
    ["problem", problem ? `${problem.reason}: ${problem.message}` : ""],
    ["next try", formatTime(problem?.retryAt)],
    ["revision", String(connection.revision)],
    ["token", formatExpiry(connection.expiresAt, shell.clock.nowMs())],
    ["next refresh", formatTime(connection.refreshNotBefore)],
    ["refreshable", connection.refreshable ? "yes" : "no"],
    ["scopes", connection.grantedScopes.join(" ")],
    ["requested", connection.requestedScopes.join(" ")],
    ...Object.entries(connection.metadata)
      .sort()
      .map(([name, value]): [string, string] => [`metadata ${name}`, value]),
    ["request ends", formatTime(connection.requestExpiresAt)],
    ["awaits", connection.awaitingConfirmation ? "ConfirmConnection by the application" : ""],
    ["at provider", providerRevocations[connection.providerRevocation] ?? ""],
    ["created", formatTime(connection.createdAt)],
    ["updated", formatTime(connection.updatedAt)],
  ];
  shell.stdout.write(formatFields(fields));
}
