/**
 * `snapshot_client.ts SOCKET REQUEST-IN-BASE64 [API-KEY]`: opens one stream of WatchTokens on raw HTTP/2 and tells what came until the first short
 * message, which is a bookmark, or the end: `{ ms, messages, bytes }`, the last two without that message.
 */
import { connect } from "node:http2";
import { connect as netConnect } from "node:net";

/** A bookmark has some 50 bytes, a state that holds a token a thousand more. */
const shortBytes = 200;
const prefixBytes = 5;

const [socket = "", request = "", apiKey] = process.argv.slice(2);
const body = Buffer.from(request, "base64");
const frame = Buffer.alloc(prefixBytes + body.length);
frame.writeUInt32BE(body.length, 1);
body.copy(frame, prefixBytes);

const session = connect("http://localhost", { createConnection: () => netConnect(socket) });
session.once("connect", () => {
  const startedMs = performance.now();
  const stream = session.request({
    ":method": "POST",
    ":path": "/nexus.v1.TokenService/WatchTokens",
    "content-type": "application/grpc",
    te: "trailers",
    ...(apiKey !== undefined && { "x-api-key": apiKey }),
  });
  let messages = 0;
  let bytes = 0;
  let waiting: Buffer = Buffer.alloc(0);
  const done = (): void => {
    process.send?.({ ms: performance.now() - startedMs, messages, bytes });
    session.destroy();
    if (process.connected) process.disconnect();
  };
  stream.on("data", (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    while (waiting.length >= prefixBytes) {
      const length = waiting.readUInt32BE(1);
      if (waiting.length < prefixBytes + length) return;
      if (length < shortBytes) {
        done();
        return;
      }
      messages++;
      bytes += length;
      waiting = waiting.subarray(prefixBytes + length);
    }
  });
  stream.once("end", () => process.connected && done());
  stream.once("error", () => undefined);
  stream.end(frame);
});
