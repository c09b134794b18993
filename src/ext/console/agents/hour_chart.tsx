import { formatCount } from "../../../model/model.js";
import { isoOf, Table, utcOf } from "../kit/parts.js";

const hourMs = 60 * 60_000;
const hours = 24;
/** In units of the drawing, which fills its place: the axes are text beside it. */
const size = { width: 960, height: 160 };
/** One request among thousands is seen anyway. */
const leastHeight = 3;
/** Providers with a color of their own; the others share the last. */
const maxSeries = 5;

export interface HourChartData {
  /** What is counted, for who does not see the drawing: "Requests of claude". */
  readonly title: string;
  /** Of the first of the 24 hours. */
  readonly sinceMs: number;
  /** By the hour's start, and the id of what is counted. */
  readonly counts: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** What an id is called. */
  nameOf(id: string): string;
}

interface Series {
  readonly name: string;
  readonly total: number;
  at(hour: number): number;
}

/** Counts of 24 hours as stacked bars, and as a table for who does not see them. */
export function HourChart(data: HourChartData) {
  const { title, sinceMs } = data;
  const series = seriesOf(data);
  if (series.length === 0) return <p class="soft">None in the last 24 hours.</p>;
  const starts = Array.from({ length: hours }, (_, index) => sinceMs + index * hourMs);
  const sums = starts.map((start) => series.reduce((sum, each) => sum + each.at(start), 0));
  const highest = niceOver(Math.max(1, ...sums));
  const label = series.map(({ name, total }) => `${name}: ${formatCount(total)}`).join(". ");
  return (
    <>
      <ul class="legend" aria-label={title}>
        {series.map(({ name, total }, index) => <li><i class={`series-${index}`}></i><bdi>{name}</bdi> <b>{formatCount(total)}</b></li>)}
      </ul>
      <div class="hours">
        <div class="scale" aria-hidden="true">{[highest, ...(highest > 1 ? [highest / 2] : []), 0].map((count) => <span>{formatCount(count)}</span>)}</div>
        <svg viewBox={`0 0 ${size.width} ${size.height}`} preserveAspectRatio="none" role="img" aria-label={`${title} of the last 24 hours. ${label}.`}>
          {[0, 0.5, 1].map((part) => <path d={`M0 ${yOf(part)}H${size.width}`} />)}
          {starts.map((start, index) => barOf(series, start, index, highest))}
        </svg>
        <div class="axis" aria-hidden="true">
          {starts.map((start, index) => index % 6 === 0 && <span>{clockOf(start)}</span>)}
          <span>{clockOf(sinceMs + hours * hourMs)} UTC</span>
        </div>
      </div>
      {byHour(title, series, starts)}
    </>
  );
}

/** The busiest first. */
function seriesOf({ counts, sinceMs, nameOf }: HourChartData): Series[] {
  const totals = new Map<string, number>();
  for (const [start, ofHour] of counts) {
    if (start < sinceMs) continue;
    for (const [id, count] of ofHour) totals.set(id, (totals.get(id) ?? 0) + count);
  }
  const sorted = [...totals].sort(([, one], [, other]) => other - one);
  const named = sorted.length > maxSeries ? sorted.slice(0, maxSeries - 1) : sorted;
  const others = sorted.slice(named.length);
  const of = (ids: readonly string[], name: string): Series => ({
    name,
    total: ids.reduce((sum, id) => sum + (totals.get(id) ?? 0), 0),
    at: (hour) => ids.reduce((sum, id) => sum + (counts.get(hour)?.get(id) ?? 0), 0),
  });
  const own = named.map(([id]) => of([id], nameOf(id)));
  return others.length === 0 ? own : [...own, of(others.map(([id]) => id), `${others.length} others`)];
}

function barOf(series: readonly Series[], start: number, index: number, highest: number) {
  let y = yOf(0);
  return series.map((each, place) => {
    const count = each.at(start);
    if (count === 0) return undefined;
    const tall = Math.max(leastHeight, (count / highest) * (yOf(0) - yOf(1)));
    y -= tall;
    return (
      <rect class={`series-${place}`} x={xOf(index) + 3} y={y.toFixed(1)} width={(xOf(1) - xOf(0) - 6).toFixed(1)} height={tall.toFixed(1)}>
        <title>{`${clockOf(start)} UTC, ${each.name}: ${formatCount(count)}`}</title>
      </rect>
    );
  });
}

function byHour(title: string, series: readonly Series[], starts: readonly number[]) {
  const rows = starts
    .filter((start) => series.some((each) => each.at(start) > 0))
    .toReversed()
    .map((start) => ({ cells: [`${utcOf(start).slice(0, 16)} UTC`, ...series.map((each) => formatCount(each.at(start)))] }));
  return (
    <details id="requests-by-hour">
      <summary>By the hour</summary>
      <Table caption={`${title} by the hour`} class="numbers" columns={["Hour", ...series.map(({ name }) => name)]} rows={rows} />
    </details>
  );
}

/** 1, 2, or 4 times a power of ten: the end of the axis. */
function niceOver(count: number): number {
  const power = 10 ** Math.floor(Math.log10(count));
  return ([1, 2, 4, 10].find((step) => step * power >= count) ?? 10) * power;
}

function xOf(index: number): number {
  return (index * size.width) / hours;
}

function yOf(part: number): number {
  return size.height * (1 - part);
}

/** `10:00`, in UTC. */
function clockOf(timeMs: number): string {
  return isoOf(timeMs).slice(11, 16);
}
