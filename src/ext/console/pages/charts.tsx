import { durationMs, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ActivityInterval, GetActivityResponse } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/model.js";
import { isoOf, Table, utcOf } from "../kit/parts.js";

const dayMs = 24 * 60 * 60_000;
/** In units of the drawing: ten for each quarter of an hour. */
const width = 960;
const height = 120;
/** One failure among thousands of refreshes is seen anyway. */
const leastHeight = 3;

const kinds = [
  ["refreshed", "New token"],
  ["retried", "Failed, tried again"],
  ["failed", "Failed for good"],
] as const;
type ChartKind = (typeof kinds)[number][0];

/** The refreshes of 24 hours as a drawing, and as a table by the hour for who does not see it. */
export function RefreshChart({ activity }: { readonly activity: GetActivityResponse }) {
  const { intervals, recordedSince, startedAt, time } = activity;
  const sinceMs = msOf(recordedSince ?? time);
  const isYoung = startedAt !== undefined && timestampMs(startedAt) === sinceMs;
  const totals = kinds.map(([kind, words]) => [kind, words, sumOf(intervals, kind)] as const);
  const label = totals.map(([, words, count]) => `${words}: ${formatCount(count)}`).join(". ");
  const since = (
    <p class="soft">
      Counted since <b>{clockOf(sinceMs)} UTC</b>
      {isYoung ? ", when the daemon started: it remembers none from before." : ", 24 hours ago."}
    </p>
  );
  if (totals.every(([, , count]) => count === 0)) return <><p>No token was refreshed yet.</p>{since}</>;
  const marks = [24, 18, 12, 6, 0].map((hours) => endMsOf(activity) - hours * 60 * 60_000);
  return (
    <>
      <ul class="legend" aria-label="Refreshes">
        {totals.map(([kind, words, count]) => <li><i class={kind}></i>{words} <b>{formatCount(count)}</b></li>)}
      </ul>
      <div class="chart">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`Refreshes of the last 24 hours. ${label}.`}
        >
          {barsOf(activity)}
        </svg>
        <div class="axis" aria-hidden="true">{marks.map((atMs) => <span>{clockOf(atMs)}</span>)}</div>
      </div>
      {since}
      {byHour(intervals)}
    </>
  );
}

function endMsOf({ intervals, interval }: GetActivityResponse): number {
  return msOf(intervals.at(-1)?.start) + (interval ? durationMs(interval) : 0);
}

function msOf(time: Timestamp | undefined): number {
  return time ? timestampMs(time) : 0;
}

function barsOf(activity: GetActivityResponse) {
  const { intervals, interval } = activity;
  const startMs = endMsOf(activity) - dayMs;
  const barWidth = ((interval ? durationMs(interval) : dayMs) / dayMs) * width;
  const sums = intervals.map((each) => kinds.reduce((sum, [kind]) => sum + Number(each[kind]), 0));
  const highest = Math.max(1, ...sums);
  return intervals.flatMap((each) => {
    const x = ((msOf(each.start) - startMs) / dayMs) * width + 1;
    let y = height;
    return kinds.flatMap(([kind]) => {
      if (each[kind] === 0n) return [];
      const tall = Math.min(y, Math.max(leastHeight, (Number(each[kind]) / highest) * height));
      y -= tall;
      const [left, top, wide, high] = [x, y, barWidth - 2, tall].map((length) => length.toFixed(1));
      return [<rect class={kind} x={left} y={top} width={wide} height={high} />];
    });
  });
}

function byHour(intervals: readonly ActivityInterval[]) {
  const hourOf = ({ start }: ActivityInterval) => utcOf(msOf(start)).slice(0, 13);
  const hours = [...new Set(intervals.map(hourOf))].toReversed();
  const rows = hours.map((hour) => {
    const own = intervals.filter((each) => hourOf(each) === hour);
    return { cells: [`${hour}:00 UTC`, ...kinds.map(([kind]) => formatCount(sumOf(own, kind)))] };
  });
  return (
    <details id="by-hour">
      <summary>By the hour</summary>
      <Table caption="Refreshes by the hour" class="numbers" columns={["Hour", ...kinds.map(([, words]) => words)]} rows={rows} />
    </details>
  );
}

function sumOf(intervals: readonly ActivityInterval[], kind: ChartKind): number {
  return intervals.reduce((sum, each) => sum + Number(each[kind]), 0);
}

/** `10:31`, in UTC. */
function clockOf(timeMs: number): string {
  return isoOf(timeMs).slice(11, 16);
}
