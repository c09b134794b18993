import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import { DaemonState, type FailingProvider, type GetStatusResponse } from "../../gen/nexus/v1/status_pb.js";
import { namePath } from "../../model/connections/connection_name.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../model/quantity_text.js";
import { nameOrId, readConnection } from "../connections/connection_key.js";
import { CommandFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { durationMsOf } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, formatStatus, formatTable, jsonLine, printable, shortId } from "../shell/text.js";
import { type Screen, screenOf } from "../terminal/screen.js";
import { formatActivity } from "./activity.js";

interface StatusFlags extends DaemonFlags {
  readonly check?: boolean;
  readonly activity?: boolean;
  readonly entries: number;
}

const maxEntries = 100;

export function statusCommand(shell: Shell): Command {
  const command = new Command("status")
    .description("show connections by state, failing providers, and the next refreshes")
    .option("--check", `exit with ${exitCodes.attentionNeeded} if something needs a user or an operator`)
    .option("--activity", "show refreshes of the last 24 hours, when tokens expire, and open streams")
    .option("--entries <number>", `rows of each list at most, 1 to ${maxEntries}`, parseEntries, 10);
  addNotes(
    command,
    `Exit codes: 0 ready, 1 not ready (or shutting down), ${exitCodes.notReachable} not reachable. Connections in attention and failing providers affect only --check, which also warns of tokens that expire within a day and cannot be refreshed. To follow it: watch nexusd status`,
  );
  return addDaemonFlags(command, true).action((flags: StatusFlags) =>
    withDaemon(shell, flags, async (session) => {
      if (flags.activity) return await showActivity(session, flags);
      const { daemon, call } = session;
      const status = await call("read the status", daemon.status.getStatus, { maxEntries: flags.entries });
      if (flags.json) shell.stdout.write(jsonLine(status));
      else {
        const names = await namesOf(session, [...status.nextRefreshes, ...status.endingTokens]);
        shell.stdout.write(formatDaemon(status, names, shell));
      }
      if (flags.check) for (const line of await endingWarnings(session, status)) shell.stderr.write(line);
      if (status.state === DaemonState.ATTENTION && flags.check)
        throw new CommandFailure(exitCodes.attentionNeeded, "");
      if (status.state === DaemonState.NOT_READY || status.state === DaemonState.DRAINING)
        throw new CommandFailure(exitCodes.failed, "");
    }),
  );
}

/** With `--json` a line for each of the two answers. */
async function showActivity({ shell, daemon, call }: DaemonSession, flags: StatusFlags): Promise<void> {
  const activity = await call("read the activity", daemon.status.getActivity, {});
  const streams = await call("list the open streams", daemon.status.listOpenStreams, {
    maxEntries: flags.entries,
  });
  const json = () => jsonLine(activity) + jsonLine(streams);
  shell.stdout.write(
    flags.json ? json() : formatActivity(activity, streams, screenOf(shell.env, shell.stdout)),
  );
}

const stateWords: Readonly<Partial<Record<DaemonState, string>>> = {
  [DaemonState.READY]: "ready",
  [DaemonState.ATTENTION]: "ready, needs attention",
  [DaemonState.NOT_READY]: "not ready",
  [DaemonState.DRAINING]: "ending",
};

/** What people know connections by, by their ids. One that cannot be read has none. */
type Names = ReadonlyMap<string, string>;

async function namesOf(
  session: DaemonSession,
  entries: readonly { readonly connectionId: string }[],
): Promise<Names> {
  const ids = [...new Set(entries.map(({ connectionId }) => connectionId))];
  const read = ids.map(async (id): Promise<[string, string][]> => {
    const connection = await readConnection(session, id).catch(() => undefined);
    return connection ? [[id, namePath(connection)]] : [];
  });
  return new Map((await Promise.all(read)).flat());
}

function nameIn(
  names: Names,
  { connectionId, providerName }: { readonly connectionId: string; readonly providerName: string },
): string {
  return names.get(connectionId) ?? `${providerName} ${shortId(connectionId)}`;
}

function formatDaemon(status: GetStatusResponse, names: Names, shell: Shell): string {
  const screen = screenOf(shell.env, shell.stdout);
  const lagMs = durationMsOf(status.refreshLag);
  const late = lagMs >= 1000 ? `, the oldest late by ${formatDuration(lagMs)}` : "";
  const fields = formatFields(
    [
      ["nexusd", status.version],
      ["status", stateWords[status.state] ?? `state ${status.state}`],
      ...status.checks
        .filter(({ passing }) => !passing)
        .map(({ name, message }): [string, string] => [name, message || "no"]),
      ["up", formatDuration(durationMsOf(status.uptime))],
      ["store", formatBytes(Number(status.storeBytes))],
      ["subscribers", formatCount(status.subscribers)],
      ...shell.extensions.flatMap(({ statusFields }) => statusFields?.(status) ?? []),
      ["refreshing", `${status.refreshesRunning} running, ${status.refreshesWaiting} waiting${late}`],
    ],
    screen,
  );
  const parts = [
    fields,
    connectionsOf(status, shell),
    failingOf(status, screen),
    refreshesOf(status, names, screen),
    ...(status.endingTokens.length === 0 ? [] : [endingOf(status, names, screen)]),
  ];
  return parts.join("\n");
}

function endingOf({ endingTokens, time }: GetStatusResponse, names: Names, screen: Screen): string {
  const rows = endingTokens.map((token) => [whenText(token.expiresAt, time), nameIn(names, token)]);
  return formatTable(["TOKEN ENDS, AND CANNOT BE REFRESHED", "CONNECTION"], rows, screen);
}

async function endingWarnings(
  session: DaemonSession,
  { endingTokens, time }: GetStatusResponse,
): Promise<string[]> {
  const { program } = session.shell;
  const warnings = endingTokens.map(async ({ expiresAt, providerName, connectionId }) => {
    const connection = await readConnection(session, connectionId).catch(() => undefined);
    const word = connection ? await nameOrId(session, connection) : connectionId;
    const which = word === connectionId ? `--connection ${connectionId}` : word;
    return `warning: the token of ${printable(providerName)} ends ${whenText(expiresAt, time)} and cannot be refreshed; the user must consent again: ${program} connect ${which}\n`;
  });
  return await Promise.all(warnings);
}

function connectionsOf({ connections }: GetStatusResponse, { program }: Shell): string {
  const total = connections.reduce((sum, { count }) => sum + Number(count), 0);
  const rows = [
    ...connections.map(({ status, count }) => [formatStatus(status), formatCount(Number(count))] as const),
    ["total", formatCount(total)] as const,
  ];
  const width = Math.max(...rows.map(([, count]) => count.length));
  const isAttention = connections.some(
    ({ status, count }) => status === ConnectionStatus.ATTENTION && count > 0n,
  );
  const who = isAttention ? `Which need attention: ${program} connections --status attention\n` : "";
  return `CONNECTIONS\n${formatFields(rows.map(([name, count]) => [name, count.padStart(width)]))}${who}`;
}

function failingOf(
  { failingProviders, failingProviderCount, time }: GetStatusResponse,
  screen: Screen,
): string {
  if (failingProviderCount === 0) return "FAILING PROVIDERS\nnone\n";
  const rows = failingProviders.map((provider) => [
    provider.providerName,
    provider.reason,
    sinceText(provider.since, time),
    String(provider.failures),
    formatCount(Number(provider.connections)),
    nextProbe(provider, time),
  ]);
  const table = formatTable(
    ["FAILING PROVIDER", "REASON", "FOR", "FAILURES", "CONNECTIONS", "NEXT PROBE"],
    rows,
    screen,
  );
  const sentences = failingProviders.map(({ providerName: name, message, consents, reason }) => {
    const what = `${name}: ${consents ? "consents fail: " : ""}${message}`;
    const change = `change the client: nexusd provider update ${name} --client-id ID --client-secret-file FILE`;
    return `${printable(what)}\n${reason === "misconfigured" ? `${printable(change)}\n` : ""}`;
  });
  const more = failingProviderCount - failingProviders.length;
  return `${table}${sentences.join("")}${more > 0 ? `and ${counted(more, "other")}\n` : ""}`;
}

function nextProbe({ retryAt }: FailingProvider, now: Timestamp | undefined): string {
  return retryAt ? whenText(retryAt, now) : "";
}

function refreshesOf({ nextRefreshes, time }: GetStatusResponse, names: Names, screen: Screen): string {
  if (nextRefreshes.length === 0) return "NEXT REFRESHES\nnone\n";
  const rows = nextRefreshes.map((refresh) => [
    whenText(refresh.dueAt, time),
    nameIn(names, refresh),
    refresh.failedRefreshes === 0 ? "" : `after ${counted(refresh.failedRefreshes, "failure")}`,
  ]);
  return formatTable(["NEXT REFRESH", "CONNECTION", ""], rows, screen);
}

function sinceText(since: Timestamp | undefined, now: Timestamp | undefined): string {
  return since && now ? formatDuration(timestampMs(now) - timestampMs(since)) : "";
}

function whenText(at: Timestamp | undefined, now: Timestamp | undefined): string {
  if (!at || !now) return "";
  const remainingMs = timestampMs(at) - timestampMs(now);
  return remainingMs > 0 ? `in ${formatDuration(remainingMs)}` : "now";
}

function parseEntries(text: string): number {
  const number = Number(text);
  if (!/^\d{1,3}$/.test(text) || number < 1 || number > maxEntries)
    throw new InvalidArgumentError(`It must be a number from 1 to ${maxEntries}.`);
  return number;
}
