import { exitCodes } from "../../core/exit_codes.js";
import type { Connection } from "../../gen/nexus/v1/connection_pb.js";
import { type ConnectionName, namePath, parseNamePath } from "../../model/connections/connection_name.js";
import { isId } from "../../model/ids.js";
import { ambiguousId, findProvider, idPrefix, isNotFound } from "../providers/provider_key.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { printable, shellWord } from "../shell/text.js";

/** What a command takes for a connection, for its help. */
export const connectionArgument =
  "a connection: its id, the beginning of its id, or PROVIDER[/USER[/LABEL]]; USER is your login name by default";

/** Connections that are printed for an ambiguous id. */
const maxCandidates = 5;

/** The name that a text is; undefined when it can be none. */
export function connectionName(shell: Shell, text: string): ConnectionName | undefined {
  const segments = text.trim().split("/");
  return parseNamePath(
    segments.length === 1 ? [...segments, encodeURIComponent(shell.userName())] : segments,
  );
}

/** A connection, and the name by which it was found; undefined where that was its id. */
export interface FoundConnection {
  readonly id: string;
  readonly name: ConnectionName | undefined;
}

/**
 * Finds the connection that a person means. A name comes before the beginning of an id.
 *
 * @returns a whole id as it is: it is not looked up
 */
export async function foundConnection(session: DaemonSession, text: string): Promise<FoundConnection> {
  const given = text.trim().toLowerCase();
  if (isId(given)) return { id: given, name: undefined };
  const name = connectionName(session.shell, text);
  const named = name && (await connectionNamed(session, name));
  if (named) return { id: named.id, name };
  const [found, ...others] = idPrefix.test(given) ? await connectionsLike(session, given) : [];
  if (!found) {
    if (name && !idPrefix.test(given)) await refuseUnknownProvider(session, name);
    throw notFound(text, name);
  }
  if (others.length > 0) throw ambiguous(text, [found, ...others]);
  return { id: found.id, name: undefined };
}

/** The id of the connection that a person means; see `foundConnection`. */
export async function findConnection(session: DaemonSession, text: string): Promise<string> {
  return (await foundConnection(session, text)).id;
}

/** Does `work`; the commands that its failure names have the name by which the connection was found, or else its id, to be pasted. */
export async function withKey<Answer>(
  { id, name }: FoundConnection,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const word = name && pastable(name);
    const message = word
      ? error.message.replaceAll(
          /nexusd connect (--connection <id>|<provider>)/g,
          () => `nexusd connect ${word}`,
        )
      : error.message;
    throw new CommandFailure(
      error.exitCode,
      message.replaceAll("<id>", () => word ?? id),
      error.cause,
    );
  }
}

/** What a command takes for a connection: its name where it names this one, or else its id. */
export async function nameOrId(session: DaemonSession, connection: Connection): Promise<string> {
  const { id, providerName, userId, label } = connection;
  const name = { providerName, userId, label };
  const word = pastable(name);
  if (word === undefined) return id;
  const named = await connectionNamed(session, name).catch(() => undefined);
  return named?.id === id ? word : id;
}

/** A name as one word of a shell; undefined where it holds what is not printed as it is. */
export function pastable(name: ConnectionName): string | undefined {
  const path = namePath(name);
  return printable(path) === path ? shellWord(path) : undefined;
}

export async function readConnection(
  { daemon, call }: DaemonSession,
  connectionId: string,
): Promise<Connection> {
  const { getConnection } = daemon.connections;
  const { connection } = await call(`read the connection ${connectionId}`, getConnection, { connectionId });
  if (!connection) throw new Error("the daemon answered without a connection");
  return connection;
}

/** The connection that has a name; undefined where none has it. */
export async function connectionNamed(
  { daemon, call }: DaemonSession,
  name: ConnectionName,
): Promise<Connection | undefined> {
  try {
    const answer = await call(
      `find the connection of ${name.userId} at ${name.providerName}`,
      daemon.connections.getConnection,
      { name },
    );
    return answer.connection;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Says which provider may be meant. A caller that may read no providers gets no suggestion. @throws CommandFailure where none has this name */
async function refuseUnknownProvider(
  session: DaemonSession,
  { providerName }: ConnectionName,
): Promise<void> {
  try {
    await findProvider(session, providerName);
  } catch (error) {
    if (isNotFound(error)) throw error;
  }
}

async function connectionsLike({ daemon, call }: DaemonSession, idPrefix: string): Promise<Connection[]> {
  const { connections } = await call(`find the connection ${idPrefix}`, daemon.connections.listConnections, {
    idPrefix,
    pageSize: maxCandidates + 1,
  });
  return connections;
}

function notFound(text: string, name: ConnectionName | undefined): CommandFailure {
  const prefix = idPrefix.test(text.trim().toLowerCase())
    ? `no connection has an id that begins with ${text}`
    : "";
  const labelled = name?.label ? ` with the label ${name.label}` : "";
  const named = name ? `${name.userId} has no connection to ${name.providerName}${labelled}` : "";
  const sentence =
    [prefix, named].filter((part) => part !== "").join(", and ") || `${text} names no connection`;
  // What looks like an id is no provider to connect.
  const word = name && prefix === "" && pastable(name);
  const how = word ? `, or connect one: nexusd connect ${word}` : "";
  return new CommandFailure(exitCodes.failed, printable(`${sentence}: see nexusd connections${how}`));
}

function ambiguous(text: string, connections: readonly Connection[]): CommandFailure {
  const candidates = connections
    .slice(0, maxCandidates)
    .map(({ id, providerName, userId }) => printable(`  ${id}  ${providerName}  ${userId}`));
  const more = connections.length > maxCandidates ? ["  and more"] : [];
  return ambiguousId(text, [...candidates, ...more]);
}
