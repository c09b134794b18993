import { ConnectError } from "@connectrpc/connect";
import { Argument, Command, Option } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import {
  CheckOutcome,
  type Connection,
  ConnectionStatus,
  ProviderRevocation,
} from "../../gen/nexus/v1/connection_pb.js";
import {
  connectionStatuses,
  type ConnectionStatus as StatusName,
} from "../../model/connections/connection.js";
import { namePath } from "../../model/connections/connection_name.js";
import { accountText } from "../../model/credentials/account.js";
import { findProvider } from "../providers/provider_key.js";
import { isOAuth2 } from "../providers/provider_words.js";
import { CommandFailure } from "../shell/command_failure.js";
import { confirm } from "../shell/confirm.js";
import {
  type ConfirmedFlags,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
} from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import {
  formatAge,
  formatExpiry,
  formatFields,
  formatStatus,
  formatWhen,
  printable,
  shortId,
} from "../shell/text.js";
import { screenOf } from "../terminal/screen.js";
import { connectionImportCommand, connectionReplaceCommand } from "./connection_import.js";
import {
  connectionArgument,
  findConnection,
  foundConnection,
  nameOrId,
  readConnection,
  withKey,
} from "./connection_key.js";
import { refuseOtherUser } from "./users_of_key.js";

interface ListFlags extends DaemonFlags {
  readonly user?: string;
  readonly provider?: string;
  readonly status?: StatusName;
  readonly all?: boolean;
}

export function connectionsCommand(shell: Shell): Command {
  return new Command("connections")
    .alias("connection")
    .addCommand(listCommand(shell), { isDefault: true })
    .addCommand(showCommand(shell))
    .addCommand(connectionImportCommand(shell))
    .addCommand(connectionReplaceCommand(shell))
    .addCommand(refreshCommand(shell))
    .addCommand(checkCommand(shell))
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
    .addOption(new Option("--status <status>", "only connections in this state").choices(connectionStatuses))
    .option("--all", "include revoked connections and expired requests");
  return daemonCommand(shell, command, async (session, flags: ListFlags) => {
    const all = (await allConnections(session, flags)).sort(troubleFirst);
    if (all.length === 0 && flags.user !== undefined)
      await refuseOtherUser(session, "list the connections", flags.user);
    const isListed = ({ status }: Connection): boolean =>
      flags.all === true || flags.status !== undefined || !overStatuses.includes(status);
    const listed = all.filter(isListed);
    session.showList(listed, {
      none: all.length === 0 ? "no connections: nexusd connect --help\n" : "",
      columns: {
        ID: ({ id }) => shortId(id),
        PROVIDER: ({ providerName }) => providerName,
        USER: ({ userId, label }) => (label === "" ? userId : `${userId}/${label}`),
        STATUS: ({ status }) => formatStatus(status),
        PROBLEM: ({ problem }) => problem?.reason ?? "",
        TOKEN: ({ expiresAt }) => formatExpiry(expiresAt, shell.clock.nowMs()),
        ACCOUNT: ({ account }) => accountText(account),
        UPDATED: ({ updatedAt }) => formatAge(updatedAt, shell.clock.nowMs()),
      },
    });
    const hidden = all.length - listed.length;
    if (hidden > 0 && !flags.json)
      shell.stderr.write(
        `${hidden} revoked or expired ${hidden === 1 ? "is" : "are"} not shown: give --all\n`,
      );
  });
}

/** Nobody waits for these any more. */
const overStatuses = [ConnectionStatus.EXPIRED, ConnectionStatus.REVOKED];
const lastStatuses = [ConnectionStatus.PENDING, ConnectionStatus.ACTIVE, ...overStatuses];

/** What needs a person before what does not, each in the order of its name. */
function troubleFirst(one: Connection, other: Connection): number {
  const rank = ({ status }: Connection): number => lastStatuses.indexOf(status);
  return rank(one) - rank(other) || namePath(one).localeCompare(namePath(other));
}

function showCommand(shell: Shell): Command {
  const command = new Command("show").description("show one connection").addArgument(connectionOf());
  return daemonCommand(shell, command, async (session, _flags, text: string) => {
    const connection = await readConnection(session, await findConnection(session, text));
    session.show(connection, () => describe(connection, shell));
  });
}

function refreshCommand(shell: Shell): Command {
  const command = new Command("refresh")
    .description("refresh the token now, whatever its age; agents get the new one at once")
    .addArgument(connectionOf());
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
    const withoutCredentials = { ...answer, token: { ...token, credentials: {} } };
    const expiry = formatExpiry(token.expiresAt, shell.clock.nowMs()) || "does not expire";
    session.show(
      withoutCredentials,
      () => `${printable(text.trim())} is refreshed: revision ${token.revision}, ${expiry}\n`,
    );
  });
}

const checkWords: Readonly<Record<CheckOutcome, string>> = {
  [CheckOutcome.UNSPECIFIED]: "",
  [CheckOutcome.ACCEPTED]: "it accepts the credential",
  [CheckOutcome.REFUSED]: "it refuses the credential",
  [CheckOutcome.UNCLEAR]: "that says nothing of the credential",
};

function checkCommand(shell: Shell): Command {
  const command = new Command("check")
    .description(
      "ask the API whether it accepts the credential, by one GET of the provider's user_info_endpoint",
    )
    .addArgument(connectionOf());
  addNotes(
    command,
    `A refused credential is refreshed once. If that does not help, the connection needs attention, until a later check succeeds. Exit codes: 0 accepted, ${exitCodes.attentionNeeded} refused, 1 anything else.`,
  );
  return daemonCommand(shell, command, async (session, _flags: DaemonFlags, text: string) => {
    const found = await foundConnection(session, text);
    const connectionId = found.id;
    const doing = `check the connection ${connectionId}`;
    const answer = await withKey(found, () =>
      session.call(doing, session.daemon.connections.checkConnection, { connectionId }),
    );
    const { outcome, status, url } = answer;
    session.show(answer, () => `GET ${printable(url)} returned ${status}: ${checkWords[outcome]}\n`);
    if (outcome === CheckOutcome.ACCEPTED) return;
    throw new CommandFailure(
      outcome === CheckOutcome.REFUSED ? exitCodes.attentionNeeded : exitCodes.failed,
      "",
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
    const step = `replace it by hand: nexusd connections replace ${await nameOrId(session, connection)}`;
    return new CommandFailure(error.exitCode, `${error.message.split("\n")[0]}\n${step}`, error.cause);
  } catch {
    return undefined;
  }
}

const providerRevocations: Readonly<Record<ProviderRevocation, string | undefined>> = {
  [ProviderRevocation.UNSPECIFIED]: undefined,
  [ProviderRevocation.NOT_NEEDED]: "the provider had nothing to revoke",
  [ProviderRevocation.PENDING]: "the provider has not answered yet, the daemon goes on asking it",
  [ProviderRevocation.DONE]: "the provider revoked its token too",
  [ProviderRevocation.NOT_POSSIBLE]:
    "the grant could not be revoked at the provider, where its token is valid until it expires; withdraw the consent in the provider's own settings",
};

function revokeCommand(shell: Shell): Command {
  const description = "end a connection permanently: erase its credentials, keep its record";
  return finalCommand(shell, "revoke", description, async ({ call, daemon, show }, connectionId, doing) => {
    const { connection } = await call(doing, daemon.connections.revokeConnection, { connectionId });
    if (!connection) throw new Error("the daemon answered without a connection");
    const outcome = providerRevocations[connection.providerRevocation];
    show(connection, () => `${connectionId} is revoked${outcome === undefined ? "" : `: ${outcome}`}\n`);
  });
}

function deleteCommand(shell: Shell): Command {
  const description = "erase a connection with its credentials";
  return finalCommand(shell, "delete", description, async ({ call, daemon, show }, connectionId, doing) => {
    const answer = await call(doing, daemon.connections.deleteConnection, { connectionId });
    show(answer, () => `${connectionId} is deleted\n`);
  });
}

/** A command that asks before it ends one connection. */
function finalCommand(
  shell: Shell,
  verb: string,
  description: string,
  end: (session: DaemonSession, connectionId: string, doing: string) => Promise<void>,
): Command {
  const command = new Command(verb).description(description).addArgument(connectionOf());
  command.option("--yes", "do not ask");
  return daemonCommand(shell, command, async (session, { yes }: ConfirmedFlags, text: string) => {
    const connectionId = await findConnection(session, text);
    const doing = `${verb} the connection ${connectionId}`;
    if (!yes) await confirm(shell, finalQuestion(verb, await readConnection(session, connectionId)), yes);
    await end(session, connectionId, doing);
  });
}

/** Whose connection it is, and what happens: an id alone tells a person neither. */
function finalQuestion(
  verb: string,
  { id, providerName, userId, label, account, status }: Connection,
): string {
  const provider = providerName === "" ? "a deleted provider" : providerName;
  const known = [
    accountText(account),
    label === "" ? "" : `label ${label}`,
    formatStatus(status),
    shortId(id),
  ];
  const whose = `${verb} the connection of ${userId} to ${provider} (${known.filter((word) => word !== "").join(", ")})`;
  const rest = verb === "delete" ? "erased" : "erased, its record stays";
  return printable(
    `${whose.replace(/^./, (first) => first.toUpperCase())}? Agents lose it at once, its credentials are ${rest}, and its token is revoked at the provider if possible. This is final.`,
  );
}

async function allConnections(session: DaemonSession, flags: ListFlags): Promise<Connection[]> {
  const providerId =
    flags.provider === undefined ? "" : (await findProvider(session, flags.provider)).provider.id;
  const filter = {
    providerId,
    userId: flags.user ?? "",
    // From 1; 0 is unspecified.
    status: flags.status === undefined ? 0 : connectionStatuses.indexOf(flags.status) + 1,
  };
  const method = session.daemon.connections.listConnections;
  return session.listAll("list the connections", method, filter, ({ connections }) => connections);
}

/** All that the provider reported, the best-known name first. */
function accountWords(account: Connection["account"]): string {
  if (!account) return "";
  const { email, login, name, subject } = account;
  return [...new Set([email, login, name, subject].filter((text) => text !== ""))].join(", ");
}

function describe(connection: Connection, { clock, env, stdout }: Shell): string {
  const { problem } = connection;
  const nowMs = clock.nowMs();
  const fields: [string, string][] = [
    ["id", connection.id],
    ["provider", connection.providerName],
    ["user", connection.userId],
    ["label", connection.label],
    ["account", accountWords(connection.account)],
    ["status", formatStatus(connection.status)],
    ["problem", problem ? `${problem.reason}: ${problem.message}` : ""],
    ["next try", formatWhen(problem?.retryAt, nowMs)],
    ["revision", String(connection.revision)],
    ["token", formatExpiry(connection.expiresAt, nowMs)],
    ["next refresh", formatWhen(connection.refreshNotBefore, nowMs)],
    ["refreshable", connection.refreshable ? "yes" : "no"],
    ["scopes", connection.grantedScopes.join(" ")],
    ["requested", connection.requestedScopes.join(" ")],
    ...Object.entries(connection.metadata)
      .sort()
      .map(([name, value]): [string, string] => [`metadata ${name}`, value]),
    ["request ends", formatWhen(connection.requestExpiresAt, nowMs)],
    ["awaits", connection.awaitingConfirmation ? "ConfirmConnection by the application" : ""],
    ["at provider", providerRevocations[connection.providerRevocation] ?? ""],
    ["created", formatWhen(connection.createdAt, nowMs)],
    ["updated", formatWhen(connection.updatedAt, nowMs)],
  ];
  return formatFields(fields, screenOf(env, stdout));
}
