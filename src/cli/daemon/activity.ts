import type { Duration } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type {
  ActivityInterval,
  ExpiryClass,
  GetActivityResponse,
  ListOpenStreamsResponse,
} from "../../gen/nexus/v1/status_pb.js";
import { formatCount, formatDuration } from "../../model/quantity_text.js";
import { durationMsOf } from "../shell/option_values.js";
import { formatTable, formatTime } from "../shell/text.js";
import type { Screen } from "../terminal/screen.js";

/** The last 24 hours, when tokens end, and who holds a stream open, as tables for a terminal. */
export function formatActivity(
  activity: GetActivityResponse,
  open: ListOpenStreamsResponse,
  screen: Screen,
): string {
  return [refreshesOf(activity, screen), endsOf(activity, screen), streamsOf(open, screen)].join("\n");
}

/** By the hour: 96 lines would be more than a screen. */
function refreshesOf({ intervals, recordedSince, startedAt }: GetActivityResponse, screen: Screen): string {
  const hours = new Map<string, [number, number, number]>();
  for (const interval of intervals) {
    const counts = hours.get(hourOf(interval)) ?? [0, 0, 0];
    counts[0] += Number(interval.refreshed);
    counts[1] += Number(interval.retried);
    counts[2] += Number(interval.failed);
    hours.set(hourOf(interval), counts);
  }
  const rows = [...hours]
    .filter(([, counts]) => counts.some((count) => count > 0))
    .map(([hour, counts]) => [hour, ...counts.map((count) => formatCount(count))]);
  const isYoung = startedAt && recordedSince && timestampMs(startedAt) === timestampMs(recordedSince);
  const since = `since ${formatTime(recordedSince)}${isYoung ? ", when the daemon started" : ""}`;
  if (rows.length === 0) return `REFRESHES ${since}\nnone\n`;
  return `REFRESHES ${since}\n${formatTable(["HOUR", "REFRESHED", "RETRIED", "FAILED"], rows, screen)}`;
}

function hourOf({ start }: ActivityInterval): string {
  const hourMs = 60 * 60_000;
  const startMs = start ? timestampMs(start) : 0;
  return `${new Date(Math.floor(startMs / hourMs) * hourMs).toISOString().slice(0, 16)}Z`;
}

function endsOf(activity: GetActivityResponse, screen: Screen): string {
  const { expiries, connectionsCounted: counted, connectionsStored: stored } = activity;
  const sample =
    counted < stored
      ? ` (of ${formatCount(Number(counted))} connections of ${formatCount(Number(stored))})`
      : "";
  const rows = expiries.map((expiry) => [
    expiryWords(expiry),
    formatCount(Number(expiry.count)),
    formatCount(Number(expiry.refreshable)),
  ]);
  return formatTable([`TOKEN ENDS${sample}`, "TOKENS", "REFRESHABLE"], rows, screen);
}

function expiryWords({ within, unlimited }: ExpiryClass): string {
  if (unlimited) return "not known";
  if (within === undefined) return "later";
  return isZero(within) ? "expired" : `within ${formatDuration(durationMsOf(within))}`;
}

function isZero({ seconds, nanos }: Duration): boolean {
  return seconds === 0n && nanos === 0;
}

function streamsOf({ streams, count, time }: ListOpenStreamsResponse, screen: Screen): string {
  if (count === 0) return "OPEN STREAMS\nnone\n";
  const nowMs = time ? timestampMs(time) : 0;
  const rows = streams.map(({ principal, rpc, listener, origin, openedAt }) => [
    principal,
    rpc.split(".").at(-1) ?? rpc,
    listener,
    origin,
    openedAt ? formatDuration(Math.max(0, nowMs - timestampMs(openedAt))) : "",
  ]);
  const more = count - streams.length;
  const table = formatTable(["OPEN STREAM OF", "CALLED", "LISTENER", "FROM", "FOR"], rows, screen);
  return `${table}${more > 0 ? `and ${formatCount(more)} more\n` : ""}`;
}
