import { durationFromMs, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { exitCodes } from "../../core/exit_codes.js";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import {
  connectionArgument,
  type FoundConnection,
  findConnection,
  foundConnection,
  pastable,
  readConnection,
  withKey,
} from "../connections/connection_key.js";
import { refuseOtherUser } from "../connections/users_of_key.js";
import { findProvider } from "../providers/provider_key.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { ReadCredential } from "../shell/shell.js";
import { printable, shellWord } from "../shell/text.js";

/** What `--help` says of an argument that names a credential. */
export const credentialArgument = `${connectionArgument}; a .FIELD after PROVIDER or id selects one field, such as twilio.account_sid/ada`;

/** What is requested instead of the connection's own token; nothing is the own one. */
export interface TokenTargetFlags {
  readonly audience: string | undefined;
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
}

/**
 * `CONNECTION` or, with a dot after provider or id, `CONNECTION.FIELD`: `twilio.account_sid`, `twilio.account_sid/ada`. Neither ids nor
 * names of providers hold a dot, and users may.
 */
export function parseCredentialName(text: string) {
  const [, connection = "", field, user = ""] = /^([^./]*)(?:\.([^/]*))?(\/.*)?$/s.exec(text.trim()) ?? [];
  if (connection === "" || field === "") {
    throw usageFailure(
      `${printable(JSON.stringify(text))} names no credential: write PROVIDER, PROVIDER/USER or an id, and .FIELD after provider or id`,
    );
  }
  return { connection: `${connection}${user}`, field };
}

/**
 * Reads the credential that `name` names.
 *
 * @throws CommandFailure with the command that makes the link for a person, where one has to act
 */
export async function readCredential(
  session: DaemonSession,
  name: string,
  options: { readonly minTtlMs?: number | undefined; readonly target?: TokenTargetFlags } = {},
): Promise<ReadCredential> {
  const { connection, field } = parseCredentialName(name);
  const found = await connectionOf(session, connection);
  const connectionId = found.id;
  const minTtl = options.minTtlMs === undefined ? {} : { minTtl: durationFromMs(options.minTtlMs) };
  const { audience = "", resource = "", scopes = [] } = options.target ?? {};
  const target = { audience, resource, scopes: [...scopes] };
  const { token } = await withKey(found, () =>
    session.call(`read the token of ${printable(connection)}`, session.daemon.tokens.getToken, {
      connectionId,
      includeIdToken: field === "id_token",
      ...minTtl,
      ...target,
    }),
  );
  if (!token) throw new Error("the daemon answered without a token");
  return { connectionId, token, field };
}

/**
 * The field that was named, or else what the strategy carries, or the only field. A token that is bound to a key must be named: as a
 * bearer token, every API refuses it with 401.
 */
export function credentialValue({ token, field }: ReadCredential) {
  const { credentials, idToken, expiresAt } = token;
  const names = Object.keys(credentials).sort();
  if (field === undefined && token.tokenType === "DPoP") {
    throw new CommandFailure(
      exitCodes.failed,
      "the token of this connection is bound to a key (DPoP), and each request needs a proof. Use nexusd curl, a proxy, or CreateProof; NAME.access_token prints the token alone",
    );
  }
  if (field === "id_token" && idToken !== "") return { value: idToken, expiresAt: expiryOfJwt(idToken) };
  const value = field === undefined ? mainValue(token, names) : ownValue(credentials, field);
  if (value !== undefined && value !== "") return { value, expiresAt };
  throw new CommandFailure(
    exitCodes.failed,
    printable(
      field === undefined
        ? `the credential of this connection is not a single value, it has the fields ${names.join(", ")}: name one, as in NAME.${names[0]}, or use --format json`
        : `the credential of this connection has no ${value === "" ? "value in its " : ""}field ${field}: it has ${names.join(", ")}`,
    ),
  );
}

function mainValue({ strategy, credentials }: Token, names: readonly string[]): string | undefined {
  const kind = strategy?.kind;
  const carried =
    kind?.case === "oauth2" || kind?.case === "header" || kind?.case === "queryParam"
      ? ownValue(credentials, kind.value.credentialField)
      : undefined;
  const only = names.length === 1 ? credentials[names[0] ?? ""] : undefined;
  return carried ?? ownValue(credentials, "access_token") ?? only;
}

function ownValue(credentials: Readonly<Record<string, string>>, field: string): string | undefined {
  return Object.hasOwn(credentials, field) ? credentials[field] : undefined;
}

/** RFC 7519 section 4.1.4; its signature was verified by the daemon. */
function expiryOfJwt(jwt: string): Timestamp | undefined {
  const { exp } = JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8")) as {
    exp?: unknown;
  };
  return typeof exp === "number" ? timestampFromMs(Math.floor(exp * 1000)) : undefined;
}

/** Connections that are named in place of the one that is missing. */
const maxOthers = 3;

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
    const [providerName = "", ...account] = text.split("/").map(decoded);
    throw await noConnection(session, canonicalName(providerName), account);
  }
}

/** The profile of the connection that `text` names, be there a connection yet or not. */
export async function providerOf(session: DaemonSession, text: string): Promise<Provider> {
  const [key = ""] = text.split("/");
  if (!likeId.test(key)) return (await findProvider(session, key)).provider;
  try {
    const { providerId } = await readConnection(session, await findConnection(session, text));
    return (await findProvider(session, providerId)).provider;
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

async function noConnection(
  session: DaemonSession,
  provider: string,
  [user, label]: readonly string[],
): Promise<CommandFailure> {
  const own = user ?? session.shell.userName();
  const doing = `use the connection of ${own} to ${provider}`;
  await refuseOtherUser(session, doing, own, user === undefined ? `: write ${provider}/USER` : "");
  const flags = [
    ...(user === undefined ? [] : [`--user ${shellWord(user)}`]),
    ...(label === undefined ? [] : [`--label ${shellWord(label)}`]),
  ];
  const whose = user === undefined ? "you have" : `${shellWord(user)} has`;
  const labelled = label === undefined ? "" : ` with the label ${shellWord(label)}`;
  const others = user === undefined ? await connectedLine(session, provider) : "";
  return new CommandFailure(
    exitCodes.attentionNeeded,
    `${whose} no connection to ${provider}${labelled}\nconnect an account: ${["nexusd connect", provider, ...flags].join(" ")}${others}`,
  );
}

/** Connections to this provider of other users, or with another label, as far as the caller may see them. */
async function connectedLine(session: DaemonSession, provider: string): Promise<string> {
  const { call, daemon } = session;
  const { listConnections } = daemon.connections;
  try {
    const { id } = (await findProvider(session, provider)).provider;
    const filter = { providerId: id, status: ConnectionStatus.ACTIVE, pageSize: maxOthers + 1 };
    const { connections } = await call("list the connections", listConnections, filter);
    const names = connections.slice(0, maxOthers).map((one) => pastable(one) ?? one.id);
    const more = connections.length > maxOthers ? " and more: nexusd connections" : "";
    return names.length === 0 ? "" : `\nconnected already: ${names.join(", ")}${more}`;
  } catch {
    return "";
  }
}

/** A user that holds a slash is percent-encoded. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
