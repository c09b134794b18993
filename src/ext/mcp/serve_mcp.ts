import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { pipeline } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  CommandFailure,
  clientConfigOf,
  connectDaemon,
  type DaemonFlags,
  type DaemonSession,
  findProvider,
  keepLease,
  printable,
  type Shell,
  sessionOf,
  shellWord,
  usageFailure,
  withDaemon,
} from "../../cli/kit.js";
import { readAuthorityFiles, readVersion, SettingReader } from "../../config/config.js";
import { exitCodes } from "../../core/registry.js";
import { isLocalAddress, type ListenAddress } from "../../model/model.js";
import { McpHttpServer, restrictionsOfCaller, sessionOfCaller } from "./http_server.js";
import { MessageLines } from "./message_lines.js";
import { type ApiToolDeps, addApiTool } from "./tools/api_tool.js";
import { addConnectTool } from "./tools/connect_tool.js";
import { addConnectionTools } from "./tools/connection_tools.js";
import { HeldCalls } from "./tools/held_calls.js";
import type { McpPolicy } from "./tools/mcp_policy.js";
import { addProviderTools, addTokenTool } from "./tools/provider_tools.js";
import { type McpRequestContext, McpServer, StdioServerTransport, serveStdio } from "./tools/sdk.js";
import { actingUser } from "./tools/tool.js";

/** Where it serves; on standard input and output without an address. */
export interface McpServing extends DaemonFlags {
  readonly listen?: ListenAddress;
  /** Names of hosts besides those of loopback. */
  readonly allowHost?: readonly string[];
}

/** Serves until the client leaves, or with `--listen` until the process ends. */
export async function serveMcp(shell: Shell, flags: McpServing, policy: McpPolicy): Promise<void> {
  await (flags.listen === undefined ? overStdio(shell, flags, policy) : overHttp(shell, flags, policy));
}

function overStdio(shell: Shell, flags: McpServing, policy: McpPolicy): Promise<void> {
  return withDaemon(shell, flags, async (session) => {
    const known = await knownProviders(session, policy);
    const { input, output } = shell.openStandardStreams();
    const onError = report(shell);
    const lines = new MessageLines({ answer: (line) => void output.write(line), onError });
    // A pipe that breaks closes, and a file ends.
    const ended = Promise.race(["end", "close"].map((event) => once(lines, event)));
    pipeline(input, lines, () => {});
    const { call, daemon } = session;
    const whoAmI = () => call("ask who this is", daemon.access.whoAmI, {});
    const deps = {
      ...{ policy: known, ...ownParts(shell), sessionOf: () => session },
      restrictionsOf: async () => (await whoAmI()).restrictions,
      sessionId: randomUUID(),
    };
    const served = serveStdio(({ era }) => makeMcpServer(deps, era), {
      transport: new StdioServerTransport(lines, output),
      onerror: onError,
    });
    const stopRenewing = keepLease(session);
    const warned = warnOfUser(session, known);
    await ended;
    void stopRenewing();
    await warned;
    await served.close();
  });
}

/**
 * The policy with its providers as the daemon names them: a model could never use one that does not exist. A daemon that cannot be reached
 * now holds up nothing, for the host may start before it.
 *
 * @throws CommandFailure for a provider that the daemon does not have
 */
async function knownProviders(session: DaemonSession, policy: McpPolicy): Promise<McpPolicy> {
  const providers: string[] = [];
  for (const given of policy.providers) {
    try {
      const { provider } = await findProvider(session, given);
      providers.push(provider.name);
    } catch (error) {
      if (!(error instanceof CommandFailure) || !isUnanswered(error)) throw error;
      session.shell.stderr.write(
        `nexusd: warning: --provider ${printable(given)} is not checked: ${error.message}\n`,
      );
      providers.push(given);
    }
  }
  return { ...policy, providers };
}

/**
 * Tells the person who starts it what the model would only find out in a conversation: that the key is not for the user, or that the
 * user has no connection. It is no reason not to start, for the model can ask for one.
 */
async function warnOfUser({ shell, call, daemon }: DaemonSession, policy: McpPolicy): Promise<void> {
  if (policy.userId === undefined) return;
  const warn = (text: string): void => shell.stderr.write(`nexusd: warning: ${printable(text)}\n`);
  try {
    const { restrictions } = await call("ask who this is", daemon.access.whoAmI, {});
    const userId = actingUser(policy, restrictions, undefined);
    const { listConnections } = daemon.connections;
    const { connections } = await call("list the connections", listConnections, { userId, pageSize: 1 });
    if (connections.length > 0) return;
    const whose = policy.isLoginName && userId === policy.userId ? `${userId}, your login name,` : userId;
    warn(
      `${whose} has no connection yet: the model can ask for one, or run nexusd connect PROVIDER --user ${shellWord(userId)}; nexusd mcp --user acts for another user`,
    );
  } catch (error) {
    // A daemon that cannot be reached now says nothing of users, and holds up nothing.
    if (error instanceof CommandFailure && error.cause === undefined && !isUnanswered(error))
      warn(error.message);
  }
}

/** Whether the daemon did not say what there is. */
function isUnanswered({ exitCode, cause }: CommandFailure): boolean {
  return (
    exitCode === exitCodes.notReachable || (cause instanceof ConnectError && cause.code !== Code.NotFound)
  );
}

/** What the tools have of this process. */
function ownParts({ clock, env }: Shell): Pick<ApiToolDeps, "clock" | "held" | "authorities"> {
  const authorities = readAuthorityFiles(new SettingReader(env, {}));
  return { clock, held: new HeldCalls(clock), authorities };
}

async function overHttp(shell: Shell, flags: McpServing, policy: McpPolicy): Promise<void> {
  const { listen: address, allowHost: allowedHosts = [] } = flags;
  if (address === undefined) throw new Error("there is no address to listen on");
  if (!isLocalAddress(address))
    throw usageFailure(
      "--listen: beyond this machine a key would go unencrypted: listen on 127.0.0.1, put a proxy with TLS before it, and name its host with --allow-host",
    );
  const config = clientConfigOf(shell, flags);
  const warn = (sentence: string): void => shell.stderr.write(`nexusd: warning: ${sentence}\n`);
  const own = ownParts(shell);
  const deps = { policy, ...own, sessionOf: sessionOfCaller, restrictionsOf: restrictionsOfCaller };
  const server = await McpHttpServer.listen({
    address,
    allowedHosts,
    makeServer: (era) => makeMcpServer(deps, era),
    clock: own.clock,
    openDaemon: (key) => connectDaemon(config, warn, key),
    sessionOf: (daemon) => sessionOf(shell, daemon),
    onError: report(shell),
  });
  shell.stderr.write(`nexusd: MCP at ${server.url}\n`);
  await server.closed;
}

/** The messages of the SDK's errors show what a client did wrong; of what it sent they hold a part, of which the beginning is enough. */
function report(shell: Shell): (error: Error) => void {
  return ({ message }) => shell.stderr.write(`nexusd: mcp: ${printable(message).slice(0, 200)}\n`);
}

const instructions =
  "nexusd keeps the user's accounts at API providers connected. list_providers shows which there are; call_api sends a request to one with the user's credential, which you never see. Where call_api says that a person has to consent, call connect.";

/** A server for one connection of a client, or for one request where the protocol has no connections. */
export function makeMcpServer(deps: ApiToolDeps, era: McpRequestContext["era"]): McpServer {
  const server = new McpServer(
    { name: "nexusd", title: "nexusd", version: readVersion() },
    { instructions, capabilities: { tools: { listChanged: false }, logging: {} } },
  );
  addProviderTools(server, deps);
  addConnectionTools(server, deps);
  addConnectTool(server, deps, era);
  addApiTool(server, deps, era);
  if (deps.policy.givesTokens) addTokenTool(server, deps);
  return server;
}
