import type { Answer } from "../../../server/listen/http_listener.js";
import type { BodySource } from "../../../server/listen/streamed_body.js";
import { render, type View } from "../../../server/views/view.js";
import { consoleHeaders } from "./page.js";

/** How long a browser waits before it comes back. */
const retryMs = 3_000;

/** Server-Sent Events (HTML Standard, section 9.2). @param source sends what `replaceEvent` makes */
export function eventStream(source: BodySource): Answer {
  const headers = { ...consoleHeaders, "content-type": "text/event-stream; charset=utf-8" };
  return { status: 200, headers, body: `retry: ${retryMs}\n\n`, stream: source };
}

/** Takes the element with this id away. */
export function removeEvent(id: string): string {
  return `event: remove\ndata: ${JSON.stringify({ id })}\n\n`;
}

/** The same, and puts it at the top of the list where there is none with this id. */
export function insertEvent(id: string, element: View): string {
  return `event: insert\ndata: ${JSON.stringify({ id, html: render(element) })}\n\n`;
}

/** Puts an element in the place of the one with the same id, unless both have the same `data-version`. */
export function replaceEvent(id: string, element: View): string {
  return `event: replace\ndata: ${JSON.stringify({ id, html: render(element) })}\n\n`;
}
