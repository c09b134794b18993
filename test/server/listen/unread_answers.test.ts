import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { defaultLimits } from "../../../src/model/limits.js";
import { UnreadAnswers } from "../../../src/server/listen/stream_watchdogs.js";
import { ManualClock } from "../../fakes/manual_clock.js";

const timeoutMs = 60_000;

/** A server of 32 MiB, and one request to it over a socket that reads nothing. */
async function unreadAnswer(end: boolean): Promise<{ clock: ManualClock; response: ServerResponse }> {
  const clock = new ManualClock(0);
  const limits = { ...defaultLimits, streamReadTimeoutMs: timeoutMs };
  const unread = new UnreadAnswers({ limits, clock, onFull: () => undefined });
  const response = await new Promise<ServerResponse>((resolve) => {
    const server = createServer((_request, answer) => {
      unread.watch(answer);
      if (end) answer.end(Buffer.alloc(32 * 1024 * 1024));
      else answer.write("still to come");
      resolve(answer);
    }).listen(0, "127.0.0.1", () => {
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
      socket.on("error", () => undefined);
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      onTestFinished(() => void socket.destroy());
    });
    onTestFinished(() => void server.close());
  });
  return { clock, response };
}

function pass(clock: ManualClock, ms: number): void {
  for (let passed = 0; passed < ms; passed += timeoutMs / 4) clock.advance(timeoutMs / 4);
}

test("an answer over HTTP/1.1 that is not read in time has its connection closed, and not before", async () => {
  const { clock, response } = await unreadAnswer(true);
  pass(clock, timeoutMs);
  expect(response.destroyed).toBe(false);
  pass(clock, timeoutMs / 4);
  expect(response.destroyed).toBe(true);
});

test("an answer that the daemon has not ended waits for the daemon, and not for its reader", async () => {
  const { clock, response } = await unreadAnswer(false);
  pass(clock, 3 * timeoutMs);
  expect(response.destroyed).toBe(false);
});
