import { type DaemonSession, formatStatus, formatTime } from "../../../cli/kit.js";
import {
  type Connection,
  ConnectionStatus,
  type Account as ProviderAccount,
} from "../../../gen/nexus/v1/connection_pb.js";
import { awaitPerson, maxWaitSeconds } from "./consent_wait.js";
import { mayUseProvider } from "./mcp_policy.js";
import { type McpServer, z } from "./sdk.js";
import {
  accountOf,
  accountShape,
  answering,
  jsonResult,
  onConnection,
  type ToolAccount,
  type ToolDeps,
  userOf,
  userShape,
} from "./tool.js";

/** `list_connections` and `connection_status` */
export function addConnectionTools(server: McpServer, deps: ToolDeps): void {
  const { policy, sessionOf } = deps;
  server.registerTool(
    "list_connections",
    {
      title: "List connections",
      description:
        "Lists the user's connections: the accounts at providers that call_api can act with, and whether each works or needs the person.",
      inputSchema: z.strictObject(userShape(policy, "only connections of this user")),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    (given, context) =>
      answering(async () => {
        const all = await connectionsOf(sessionOf(context), await userOf(deps, context, given));
        const usable = all.filter(({ providerName }) => mayUseProvider(policy, providerName));
        return jsonResult({ connections: usable.map(describe) });
      }),
  );
  server.registerTool(
    "connection_status",
    {
      title: "Status of a connection",
      description:
        "Shows whether a connection works. With wait_seconds, it waits until the user is done with the link that connect returned.",
      inputSchema: z.strictObject({
        ...accountShape(policy),
        wait_seconds: z.number().int().min(0).max(maxWaitSeconds).default(0).describe("how long to wait"),
      }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    (given, context) =>
      answering(async () => {
        const account = await accountOf(deps, context, given);
        const session = sessionOf(context);
        const before = await connectionOf(session, account);
        if (given.wait_seconds === 0 || !isUndecided(before)) return jsonResult(describe(before));
        const waitMs = given.wait_seconds * 1000;
        await awaitPerson({
          context,
          session,
          clock: deps.clock,
          account,
          scopes: before.requestedScopes,
          waitMs,
        });
        return jsonResult(describe(await connectionOf(session, account)));
      }, given),
  );
}

/** Whether a person has a link that was not used yet. */
function isUndecided({ status, requestExpiresAt }: Connection): boolean {
  return status === ConnectionStatus.PENDING || requestExpiresAt !== undefined;
}

async function connectionOf({ daemon, call }: DaemonSession, account: ToolAccount): Promise<Connection> {
  const { connection } = await onConnection(account, () =>
    call(`read the connection to ${account.providerName}`, daemon.connections.getConnection, {
      name: account,
    }),
  );
  if (!connection) throw new Error("the daemon answered without a connection");
  return connection;
}

function connectionsOf({ daemon, listAll }: DaemonSession, userId: string): Promise<Connection[]> {
  const method = daemon.connections.listConnections;
  return listAll("list the connections", method, { userId }, ({ connections }) => connections);
}

/** What a model needs of a connection. */
export function describe(connection: Connection): Record<string, unknown> {
  const { providerName, userId, label, account, status, problem, requestProblem } = connection;
  const { grantedScopes, expiresAt, refreshable } = connection;
  return {
    provider: providerName,
    user: userId,
    ...(label === "" ? {} : { label }),
    ...(account ? { account: accountFields(account) } : {}),
    status: formatStatus(status),
    ...(problem ? { problem: problem.reason, problem_message: problem.message } : {}),
    // The connection works as before, and what the person was asked for was not given.
    ...(requestProblem && !problem
      ? { last_request_failed: requestProblem.reason, last_request_message: requestProblem.message }
      : {}),
    ...(isUndecided(connection) ? { waiting_for: "the person, until the link ends" } : {}),
    ...(grantedScopes.length === 0 ? {} : { scopes: grantedScopes }),
    ...(expiresAt ? { token_expires_at: formatTime(expiresAt), refreshed_by_itself: refreshable } : {}),
  };
}

/** Whose account it is, as the provider reported. */
function accountFields({ name, email, login, subject }: ProviderAccount): Record<string, string> {
  const known = Object.entries({ name, email, login }).filter(([, value]) => value !== "");
  return known.length > 0 ? Object.fromEntries(known) : { subject };
}
