import { hostname as machineName } from "node:os";
import type { ConnectionServiceRequestConnectionResponse as RequestAnswer } from "../../gen/nexus/v1/connection_pb.js";
import { findProvider } from "../providers/provider_key.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { printable, shellWord } from "../shell/text.js";

/** A command for the user to run on another machine, and the address of this one. */
export interface RemoteMachine {
  readonly env: NodeJS.ProcessEnv;
  readonly userName: () => string;
}

/** Whether a browser that is opened here would not be seen: over SSH, unless a program says how one is opened there. */
export function isOverSsh(env: NodeJS.ProcessEnv): boolean {
  return (env["SSH_CONNECTION"] ?? "") !== "" && (env["BROWSER"] ?? "") === "";
}

/** Whether an address leads only to the machine that it is opened on. */
export function isLocalUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { hostname } = new URL(text);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * The command that makes an address of this machine work on the machine of the person, for pasting there.
 *
 * @param address on this machine, with or without a port
 */
export function forwardingCommand(address: string, { env, userName }: RemoteMachine): string {
  const { hostname, port, protocol } = new URL(address);
  const number = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  // Its words are the address and port of the client, then those of the server (ssh(1), ENVIRONMENT).
  const [, , serverHost, serverPort] = (env["SSH_CONNECTION"] ?? "").split(" ");
  const target = `${userName()}@${serverHost ?? machineName()}`;
  const flags = serverPort === undefined || serverPort === "22" ? [] : ["-p", serverPort];
  return ["ssh", "-N", "-L", `${number}:${hostname}:${number}`, ...flags, shellWord(target)].join(" ");
}

/** What to compare where the provider refuses client or redirect URI, which only the browser shows; empty where none comes back. */
export async function redirectHint(
  session: DaemonSession,
  { providerId, redirectUri }: RequestAnswer,
): Promise<string> {
  if (redirectUri === "") return "";
  // A caller who may not read the provider does without the client ID.
  const clientId = await findProvider(session, providerId).then(
    ({ provider }) => ` ${provider.clientId}`,
    () => "",
  );
  return `If the provider shows an error, compare with what is registered there: the client ID${printable(clientId)}, and this redirect URI, character by character:\n\n  ${printable(redirectUri)}\n\n`;
}
