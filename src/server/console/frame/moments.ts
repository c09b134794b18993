import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../../model/quantity_text.js";
import { type Html, html } from "../../pages/html.js";

/** How long ago or in how long, which the script counts on; the moment itself is its title. Undefined for an unset time. */
export function momentOf(time: Timestamp | undefined, nowMs: number): Html | undefined {
  if (!time) return undefined;
  const atMs = timestampMs(time);
  const words = atMs > nowMs ? `in ${formatDuration(atMs - nowMs)}` : `${formatDuration(nowMs - atMs)} ago`;
  return html`<time datetime="${isoOf(atMs)}" title="${utcOf(atMs)}" data-count="${atMs}">${words}</time>`;
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
