import type { OutgoingHttpHeaders } from "node:http";

/** What both generations of HTTP have of a response. */
interface Answerable {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  end(body: string): unknown;
}

/** Answers `{"error": word, "message": sentence}`, unless an answer is under way. */
export function answerJson(response: Answerable, status: number, error: string, message: string): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify({ error, message });
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}
