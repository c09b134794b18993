import { Code, ConnectError } from "@connectrpc/connect";
import { exitCodes } from "../../daemon/exit_codes.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { type FoundConnection, findConnection, foundConnection } from "../connections/connection_key.js";
import { findProvider } from "../providers/provider_key.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { shellWord } from "../shell/text.js";

/** An id, its beginning, or the name of a provider that could be one. */
const likeId = /^[0-9a-f-]{4,36}$/i;

/**
 * The connection that `text` names.
 *
 * @throws CommandFailure that names the command which makes the link for a person, where there is no connection yet
 */
export async function connectionOf(session: DaemonSession, text: string): Promise<FoundConnection> {
  try {
    return await foundConnection(session, text);
  } catch (error) {
    // What the daemon says is of the provider: which may be meant.
    const isOfDaemon = error instanceof CommandFailure && error.cause instanceof ConnectError;
    if (!isNotFound(error) || isOfDaemon || likeId.test(text)) throw error;
    const [providerName = "", ...account] = text.split("/");
    throw noConnection(canonicalName(providerName), account);
  }
}

/** The profile of the connection that `text` names, be there a connection yet or not. */
export async function providerOf(session: DaemonSession, text: string): Promise<Provider> {
  const [key = ""] = text.split("/");
  if (!likeId.test(key)) return (await findProvider(session, key)).provider;
  try {
    const connectionId = await findConnection(session, text);
    const { connection } = await session.call(
      `read the connection ${connectionId}`,
      session.daemon.connections.getConnection,
      { connectionId },
    );
    return (await findProvider(session, connection?.providerId ?? "")).provider;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return (await findProvider(session, key)).provider;
  }
}

/** Found by the daemon, or by the command in what the daemon answered; not that it may not be asked. */
function isNotFound(error: unknown): boolean {
  if (!(error instanceof CommandFailure) || error.exitCode !== exitCodes.failed) return false;
  return !(error.cause instanceof ConnectError) || error.cause.code === Code.NotFound;
}

function noConnection(provider: string, account: readonly string[]): CommandFailure {
  const [user, label] = account.map(decoded);
  const flags = [
    ...(user === undefined ? [] : [`--user ${shellWord(user)}`]),
    ...(label === undefined ? [] : [`--label ${shellWord(label)}`]),
  ];
  const whose = user === undefined ? "you have" : `${shellWord(user)} has`;
  return new CommandFailure(
    exitCodes.attentionNeeded,
    `${whose} no connection to ${provider}\na person can consent: ${["nexusd connect", provider, ...flags].join(" ")}`,
  );
}

/** A user that holds a slash is percent-encoded. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
