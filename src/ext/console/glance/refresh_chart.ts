import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ActivityInterval, GetActivityResponse } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/quantity_text.js";
import { type Html, html } from "../../../server/pages/html.js";
import { clockOf, utcOf } from "../frame/moments.js";

const dayMs = 24 * 60 * 60_000;
/** In units of the drawing: ten for each quarter of an hour. */
const width = 960;
const height = 160;
/** One failure among thousands of refreshes is seen all the same. */
const leastHeight = 3;

const kinds = ["refreshed", "retried", "failed"] as const;
type Kind = (typeof kinds)[number];

export const kindWords: Readonly<Record<Kind, string>> = {
  refreshed: "New token",
  retried: "Failed, tried again",
  failed: "Failed for good",
};

/** The refreshes of 24 hours as a drawing, and as a table by the hour for who does not see it. */
export function refreshChart(activity: GetActivityResponse): Html {
  const { intervals, recordedSince, startedAt, time } = activity;
  const nowMs = time ? timestampMs(time) : 0;
  const sinceMs = recordedSince ? timestampMs(recordedSince) : nowMs;
  const isYoung = startedAt !== undefined && timestampMs(startedAt) === sinceMs;
  const totals = kinds.map((kind) => [kind, sumOf(intervals, kind)] as const);
  const words = totals.map(([kind, count]) => `${kindWords[kind]}: ${formatCount(count)}`).join(". ");
  return html`<p>Counted since <b>${clockOf(sinceMs)} UTC</b>${
    isYoung ? ", when the daemon started: it remembers none from before." : ", 24 hours ago."
  }</p>
<ul class="legend" aria-label="Refreshes">
${totals.map(([kind, count]) => html`<li><i class="${kind}"></i>${kindWords[kind]} <b>${formatCount(count)}</b></li>`)}
${isYoung ? html`<li><i class="unknown"></i>Not recorded</li>` : undefined}
</ul>
<div class="chart">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="Refreshes of the last 24 hours. ${words}.">
${drawing(activity, sinceMs)}
</svg>
${axis(activity)}
</div>
${table(intervals)}`;
}

function drawing({ intervals, interval }: GetActivityResponse, sinceMs: number): Html[] {
  const intervalMs = interval ? Math.max(1, durationMs(interval)) : 1;
  const last = intervals.at(-1)?.start;
  const endMs = (last ? timestampMs(last) : 0) + intervalMs;
  const startMs = endMs - dayMs;
  const xOf = (timeMs: number): number => ((timeMs - startMs) / dayMs) * width;
  const highest = Math.max(
    1,
    ...intervals.map((each) => kinds.reduce((sum, kind) => sum + Number(each[kind]), 0)),
  );
  const unknown = xOf(Math.max(startMs, sinceMs));
  const before =
    unknown <= 0
      ? []
      : [html`<rect class="unknown" x="0" y="0" width="${unknown.toFixed(1)}" height="${height}"/>`];
  const bars = intervals.flatMap((each) => {
    const x = xOf(each.start ? timestampMs(each.start) : startMs);
    return bar(each, x, (intervalMs / dayMs) * width, highest);
  });
  return [...before, ...bars];
}

function bar(interval: ActivityInterval, x: number, barWidth: number, highest: number): Html[] {
  let y = height;
  return kinds.flatMap((kind) => {
    const count = Number(interval[kind]);
    if (count === 0) return [];
    const tall = Math.min(y, Math.max(leastHeight, (count / highest) * height));
    y -= tall;
    return [
      html`<rect class="${kind}" x="${(x + 1).toFixed(1)}" y="${y.toFixed(1)}" width="${(barWidth - 2).toFixed(1)}" height="${tall.toFixed(1)}"/>`,
    ];
  });
}

function axis({ intervals, interval }: GetActivityResponse): Html {
  const last = intervals.at(-1)?.start;
  const endMs = (last ? timestampMs(last) : 0) + (interval ? durationMs(interval) : 0);
  const marks = [24, 18, 12, 6, 0].map((hours) => html`<span>${clockOf(endMs - hours * 60 * 60_000)}</span>`);
  return html`<div class="axis" aria-hidden="true">${marks}</div>`;
}

function table(intervals: readonly ActivityInterval[]): Html {
  const hours = new Map<string, readonly ActivityInterval[]>();
  for (const interval of intervals) {
    const startMs = interval.start ? timestampMs(interval.start) : 0;
    const hour = utcOf(startMs).slice(0, 13);
    hours.set(hour, [...(hours.get(hour) ?? []), interval]);
  }
  const rows = [...hours].toReversed().map(([hour, each]) => {
    const cells = kinds.map((kind) => html`<td>${formatCount(sumOf(each, kind))}</td>`);
    return html`<tr><th scope="row">${hour}:00 UTC</th>${cells}</tr>`;
  });
  return html`<details id="by-hour"><summary>By the hour</summary>
<table class="numbers">
<thead><tr><th scope="col">Hour</th>${kinds.map((kind) => html`<th scope="col">${kindWords[kind]}</th>`)}</tr></thead>
<tbody>
${rows}
</tbody>
</table>
</details>`;
}

function sumOf(intervals: readonly ActivityInterval[], kind: Kind): number {
  return intervals.reduce((sum, each) => sum + Number(each[kind]), 0);
}
