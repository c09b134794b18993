import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../../model/quantity_text.js";
import { type Html, html } from "../../../server/pages/html.js";

/** How long ago or in how long, which the script counts on; the moment itself is its title. Undefined for an unset time. */
export function momentOf(time: Timestamp | undefined, nowMs: number): Html | undefined {
  if (!time) return undefined;
  const atMs = timestampMs(time);
  const words = wordsOf(atMs - nowMs);
  return html`<time datetime="${isoOf(atMs)}" title="${utcOf(atMs)}" data-count="${atMs}">${words}</time>`;
}

/** The same, and `none` for an unset time. */
export function momentOr(time: Timestamp | undefined, nowMs: number, none = "\u2013"): Html {
  return momentOf(time, nowMs) ?? html`<span class="soft none">${none}</span>`;
}

/** A moment in full, in UTC; a dash for an unset time. */
export function fullMoment(time: Timestamp | undefined): Html {
  if (!time) return html`<span class="soft">\u2013</span>`;
  const atMs = timestampMs(time);
  return html`<time datetime="${isoOf(atMs)}">${utcOf(atMs)}</time>`;
}

/** `2026-11-27 10:31:05 UTC` */
export function utcOf(timeMs: number): string {
  return isoOf(timeMs).replace("T", " ").replace("Z", " UTC");
}

/** `10:31`, in UTC. */
export function clockOf(timeMs: number): string {
  return isoOf(timeMs).slice(11, 16);
}

export function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The script has the same words. */
function wordsOf(leftMs: number): string {
  if (Math.abs(leftMs) < 1_000) return "now";
  return leftMs > 0 ? `in ${formatDuration(leftMs)}` : `${formatDuration(-leftMs)} ago`;
}
