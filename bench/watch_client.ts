/**
 * `watch_client.ts SOCKET STREAMS SOCKETS REQUEST-IN-BASE64`: holds WatchTokens on raw HTTP/2 streams, so that the client costs little.
 * Says `open` when each stream has had its first data. On the message `{ expect: bytes }` it answers, once each stream got as
 * many bytes more, the time of the last one.
 */
import { connect } from "node:http2";
import { connect as netConnect } from "node:net";
import { framed } from "./requests.js";

const [socket = "", streams = "1", sockets = "1", request = ""] = process.argv.slice(2);
const frame = framed(Buffer.from(request, "base64"));

const count = Number(streams);
const got = new Float64Array(count);
let expected = Number.POSITIVE_INFINITY;
let done = 0;
let opened = 0;

const sessions = Array.from({ length: Number(sockets) }, () => {
  const session = connect("http://localhost", { createConnection: () => netConnect(socket) });
  session.setMaxListeners(0);
  session.on("error", fail);
  return session;
});
for (let index = 0; index < count; index++) {
  const stream = sessions[index % sessions.length]?.request({
    ":method": "POST",
    ":path": "/nexus.v1.TokenService/WatchTokens",
    "content-type": "application/grpc",
    te: "trailers",
  });
  if (stream === undefined) throw new RangeError("no session");
  stream.on("error", fail);
  stream.once("end", () => fail(new Error("a stream ended")));
  stream.on("data", (chunk: Buffer) => {
    if (got[index] === -1) {
      got[index] = 0;
      opened++;
      if (opened === count) process.send?.("open");
      return;
    }
    const before = got[index] ?? 0;
    got[index] = before + chunk.length;
    if (before < expected && before + chunk.length >= expected && ++done === count) {
      expected = Number.POSITIVE_INFINITY;
      process.send?.({ receivedNs: process.hrtime.bigint().toString() });
    }
  });
  got[index] = -1;
  stream.write(frame);
  stream.end();
}
process.on("message", ({ expect }: { expect: number }) => {
  got.fill(0);
  done = 0;
  expected = expect;
  process.send?.("armed");
});
process.once("disconnect", () => process.exit(0));

function fail(error: Error): void {
  process.send?.({ failed: error.message });
  process.exit(1);
}
