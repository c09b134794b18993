import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../../model/quantity_text.js";
import { type Html, html } from "../../pages/html.js";

/** A time as its distance from now, which the script counts on; `none` where there is none. */
export function countedTime(time: Timestamp | undefined, nowMs: number, none = "\u2013"): Html {
  if (!time) return html`<span class="soft none">${none}</span>`;
  const atMs = timestampMs(time);
  const leftMs = atMs - nowMs;
  const text = leftMs >= 0 ? `in ${formatDuration(leftMs)}` : `${formatDuration(-leftMs)} ago`;
  const iso = isoOf(atMs);
  return html`<time datetime="${iso}" data-count="${atMs}" title="${wordsOf(iso)}">${text}</time>`;
}

/** A time in full, by UTC. */
export function fullTime(time: Timestamp | undefined): Html {
  if (!time) return html`<span class="soft">\u2013</span>`;
  const iso = isoOf(timestampMs(time));
  return html`<time datetime="${iso}">${wordsOf(iso)}</time>`;
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}

function wordsOf(iso: string): string {
  return iso.replace("T", " ").replace("Z", " UTC");
}
