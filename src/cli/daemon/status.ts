import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError } from "commander";
import { exitCodes } from "../../daemon/exit_codes.js";
import {
  DaemonState,
  type FailingProvider,
  GetActivityResponseSchema,
  type GetStatusResponse,
  GetStatusResponseSchema,
  ListOpenStreamsResponseSchema,
} from "../../gen/nexus/v1/status_pb.js";
import { counted, formatBytes, formatCount, formatDuration } from "../../model/quantity_text.js";
import { fleetFields, spokeFields } from "../fleet/fleet.js";
import { CommandFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import { durationMsOf } from "../shell/duration.js";
import { addNotes } from "../shell/help.js";
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
    .description("the daemon at a glance: connections by state, failing providers, what is refreshed next")
    .option("--check", `end with ${exitCodes.attentionNeeded} when something needs a person`)
    .option("--activity", "the refreshes of the last 24 hours, when tokens end, and who holds a stream open")
    .option("--entries <number>", `rows of each list at most, 1 to ${maxEntries}`, parseEntries, 10);
  addNotes(
    command,
    `Ends with 0 when the daemon is ready, 1 when it is not (or is ending), ${exitCodes.notReachable} when it cannot be reached. Connections in attention and failing providers change that with --check alone, which also warns of tokens that end within a day and cannot be refreshed. To follow it: watch nexusd status`,
  );
  return addDaemonFlags(command).action((flags: StatusFlags) =>
    withDaemon(shell, flags, async (session) => {
      if (flags.activity) return await showActivity(shell, session, flags);
      const { daemon, call } = session;
      const status = await call("read the status", (options) =>
        daemon.status.getStatus({ maxEntries: flags.entries }, options),
      );
      shell.stdout.write(
        flags.json
          ? jsonLine(GetStatusResponseSchema, status)
          : formatDaemon(status, screenOf(shell.env, shell.stdout)),
      );
      if (flags.check) for (const line of endingWarnings(shell, status)) shell.stderr.write(line);
      if (status.state === DaemonState.ATTENTION && flags.check)
        throw new CommandFailure(exitCodes.attentionNeeded, "");
      if (status.state === DaemonState.NOT_READY || status.state === DaemonState.DRAINING)
        throw new CommandFailure(exitCodes.failed, "");
    }),
  );
}

/** With `--json` a line for each of the two answers. */
async function showActivity(
  shell: Shell,
  { daemon, call }: DaemonSession,
  flags: StatusFlags,
): Promise<void> {
  const activity = await call("read the activity", (options) => daemon.status.getActivity({}, options));
  const streams = await call("list the open streams", (options) =>
    daemon.status.listOpenStreams({ maxEntries: flags.entries }, options),
  );
  const json = () =>
    jsonLine(GetActivityResponseSchema, activity) + jsonLine(ListOpenStreamsResponseSchema, streams);
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

function formatDaemon(status: GetStatusResponse, screen: Screen): string {
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
      ...(status.fleet ? fleetFields(status.fleet) : []),
      ...(status.spoke ? spokeFields(status.spoke) : []),
      ["refreshing", `${status.refreshesRunning} under way, ${status.refreshesWaiting} waiting${late}`],
    ],
    screen,
  );
  const parts = [fields, connectionsOf(status), failingOf(status, screen), refreshesOf(status, screen)];
  return [...parts, ...(status.endingTokens.length === 0 ? [] : [endingOf(status, screen)])].join("\n");
}

function endingOf({ endingTokens, time }: GetStatusResponse, screen: Screen): string {
  const rows = endingTokens.map(({ expiresAt, providerName, connectionId }) => [
    whenText(expiresAt, time),
    providerName,
    shortId(connectionId),
  ]);
  return formatTable(["TOKEN ENDS, AND CANNOT BE REFRESHED", "PROVIDER", "CONNECTION"], rows, screen);
}

function endingWarnings({ program }: Shell, { endingTokens, time }: GetStatusResponse): string[] {
  return endingTokens.map(
    ({ expiresAt, providerName, connectionId }) =>
      `warning: the token of ${printable(providerName)} ends ${whenText(expiresAt, time)} and cannot be refreshed; a person must consent again: ${program} connect --connection ${connectionId}\n`,
  );
}

function connectionsOf({ connections }: GetStatusResponse): string {
  const total = connections.reduce((sum, { count }) => sum + Number(count), 0);
  const rows = [
    ...connections.map(({ status, count }) => [formatStatus(status), formatCount(Number(count))] as const),
    ["in all", formatCount(total)] as const,
  ];
  const width = Math.max(...rows.map(([, count]) => count.length));
  return `CONNECTIONS\n${formatFields(rows.map(([name, count]) => [name, count.padStart(width)]))}`;
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
  const sentences = failingProviders.map(
    ({ providerName, message }) => `${printable(providerName)}: ${printable(message)}\n`,
  );
  const more = failingProviderCount - failingProviders.length;
  return `${table}${sentences.join("")}${more > 0 ? `and ${counted(more, "other")}\n` : ""}`;
}

function nextProbe({ retryAt }: FailingProvider, now: Timestamp | undefined): string {
  return retryAt ? whenText(retryAt, now) : "";
}

function refreshesOf({ nextRefreshes, time }: GetStatusResponse, screen: Screen): string {
  if (nextRefreshes.length === 0) return "NEXT REFRESHES\nnone\n";
  const rows = nextRefreshes.map(({ dueAt, providerName, connectionId, failedRefreshes }) => [
    whenText(dueAt, time),
    providerName,
    shortId(connectionId),
    failedRefreshes === 0 ? "" : `after ${counted(failedRefreshes, "failure")}`,
  ]);
  return formatTable(["NEXT REFRESH", "PROVIDER", "CONNECTION", ""], rows, screen);
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
