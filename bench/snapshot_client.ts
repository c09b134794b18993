/**
 * `snapshot_client.ts SOCKET REQUEST-IN-BASE64 [API-KEY]`: opens one stream of WatchTokens on raw HTTP/2 and tells how many messages came until
 * the first short one, which is a bookmark, or the end.
 */
import { connect } from "node:http2";
import { connect as netConnect } from "node:net";
import { framed } from "./requests.js";

/** A bookmark has some 50 bytes, a state that holds a token a thousand more. */
const shortBytes = 200;
const prefixBytes = 5;

const [socket = "", request = "", apiKey] = process.argv.slice(2);
const frame = framed(Buffer.from(request, "base64"));

const session = connect("http://localhost", { createConnection: () => netConnect(socket) });
session.once("connect", () => {
  const stream = session.request({
    ":method": "POST",
    ":path": "/nexus.v1.TokenService/WatchTokens",
    "content-type": "application/grpc",
    te: "trailers",
    ...(apiKey !== undefined && { "x-api-key": apiKey }),
  });
  let messages = 0;
  let waiting: Buffer = Buffer.alloc(0);
  const done = (): void => {
    process.send?.(messages);
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
      waiting = waiting.subarray(prefixBytes + length);
    }
  });
  stream.once("end", () => process.connected && done());
  stream.once("error", () => undefined);
  stream.end(frame);
});
