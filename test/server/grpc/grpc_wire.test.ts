import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { RequestReader, RequestStream } from "../../../src/server/grpc/grpc_wire.js";

function openStream() {
  const flow: string[] = [];
  const decoded: string[] = [];
  const requests = new RequestStream({
    decode: async ({ bytes }) => {
      decoded.push(bytes.toString());
      return create(EmptySchema);
    },
    pause: () => void flow.push("pause"),
    resume: () => void flow.push("resume"),
  });
  const reader = new RequestReader(1_000, "/a.B/C", requests);
  return { flow, decoded, reader, messages: requests[Symbol.asyncIterator]() };
}

function frame(text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

test("messages are cut out of chunks of any size, and none is written over by what follows", async () => {
  const { decoded, reader, messages } = openStream();
  const whole = Buffer.concat([frame("one"), frame("two"), frame(""), frame("x".repeat(900))]);
  for (let at = 0; at < whole.length; at += 7) reader.receive(Buffer.from(whole.subarray(at, at + 7)));
  reader.end();
  while ((await messages.next()).done !== true);
  expect(decoded).toEqual(["one", "two", "", "x".repeat(900)]);
});

test("nothing more is taken from the connection while a message waits for its reader", async () => {
  const { flow, reader, messages } = openStream();
  const first = messages.next();
  expect(flow).toEqual(["resume"]);
  reader.receive(frame("one"));
  await first;
  expect(flow).toEqual(["resume", "pause"]);
  const second = messages.next();
  expect(flow).toEqual(["resume", "pause", "resume"]);
  reader.end();
  expect((await second).done).toBe(true);
});

test("the reader learns what went wrong behind the messages that are there", async () => {
  const { reader, messages } = openStream();
  reader.receive(frame("one"));
  reader.receive(Buffer.of(0, 0));
  expect(() => reader.end()).toThrow("not whole");
  expect((await messages.next()).done).toBe(false);
});
