import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { defaultLimits } from "../../../src/model/limits.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";
import type { StreamSink } from "../../../src/runtime/stream_sink.js";
import { HttpListener } from "../../../src/server/listen/http_listener.js";
import { loopback, opened, portOf } from "../temporary.js";

const timeoutMs = 60_000;

/** A listener whose one answer is a stream, which the test fills. */
async function streaming() {
  const clock = new ManualClock(0);
  const limits = { ...defaultLimits, streamReadTimeoutMs: timeoutMs };
  const calls: string[] = [];
  let started!: (sink: StreamSink<string>) => void;
  const sink = new Promise<StreamSink<string>>((resolve) => {
    started = resolve;
  });
  const source = { resume: () => void calls.push("resume"), cancel: () => void calls.push("cancel") };
  const answer = {
    ...{ status: 200, headers: { "content-type": "text/event-stream" }, body: "first\n" },
    stream: (given: StreamSink<string>) => {
      started(given);
      return source;
    },
  };
  const listener = await opened(
    new HttpListener({
      ...{ listener: "console", listen: loopback, setting: "NEXUS_CONSOLE_LISTEN" },
      answer: async () => answer,
      internalError: { status: 500, headers: {}, body: "" },
      bounds: { limits, clock, onFull: () => undefined },
      onUnexpected: (error) => {
        throw error;
      },
    }),
  );
  const socket = connect(portOf(listener), "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return { clock, calls, listener, socket, closed, sink: await sink, text: () => text };
}

test("the headers and the body of a stream are sent at once, and what follows when it comes", async () => {
  const { sink, text } = await streaming();
  await expect.poll(text).toMatch(/content-type: text\/event-stream[\s\S]*first/i);
  expect(sink.send("second\n")).toBe(true);
  await expect.poll(text).toContain("second");
  expect(text().toLowerCase()).not.toContain("content-length");
  sink.end();
  await expect.poll(text).toMatch(/0\r\n\r\n$/);
});

test("its source is cancelled when the reader leaves", async () => {
  const { socket, calls } = await streaming();
  socket.destroy();
  await expect.poll(() => calls).toEqual(["cancel"]);
});

test("a reader that takes nothing is cut off in time, and one that comes back is not", async () => {
  const { sink, socket, calls, clock, closed } = await streaming();
  const full = () => {
    socket.pause();
    while (sink.send("x".repeat(1_048_576)));
  };
  full();
  clock.advance(timeoutMs - 1);
  socket.resume();
  await expect.poll(() => calls).toContain("resume");
  clock.advance(timeoutMs);
  expect(calls).not.toContain("cancel");
  full();
  clock.advance(timeoutMs);
  await expect.poll(() => calls.at(-1)).toBe("cancel");
  socket.resume();
  await closed;
});

test("it ends when the listener closes, without being cut off", async () => {
  const { listener, calls, text, closed } = await streaming();
  await listener.close(new AbortController().signal);
  await closed;
  expect(text()).toMatch(/0\r\n\r\n$/);
  expect(calls).toContain("cancel");
});
