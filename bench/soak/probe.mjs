/**
 * Loaded into the daemon by `node --import`: whoever connects to the Unix socket NEXUS_BENCH_PROBE gets one line of JSON, what the
 * process holds after a full collection.
 *
 * Objects are counted where they lie in the heap. The daemon's timers do not keep it alive, and Node's own list of active resources has
 * only those that do.
 */

import http2 from "node:http2";
import { syncBuiltinESMExports } from "node:module";
import { createServer } from "node:net";
import { queryObjects } from "node:v8";

const { createServer: createHttp2Server } = http2;
/** Node does not export its class of a stream: the first one shows it. */
let Http2Stream;
http2.createServer = (...args) => {
  const server = createHttp2Server(...args);
  server.once("stream", (stream) => {
    Http2Stream ??= stream.constructor;
  });
  return server;
};
syncBuiltinESMExports();

const timer = setTimeout(() => undefined, 0);
const Timeout = timer.constructor;
clearTimeout(timer);

createServer((socket) => {
  socket.on("error", () => undefined);
  const timers = queryObjects(Timeout, { format: "count" });
  const streams = Http2Stream === undefined ? 0 : queryObjects(Http2Stream, { format: "count" });
  const resources = process.getActiveResourcesInfo().length;
  const { heapUsed, external } = process.memoryUsage();
  socket.end(JSON.stringify({ timers, streams, resources, heldBytes: heapUsed + external }));
})
  .listen(process.env.NEXUS_BENCH_PROBE)
  .unref();
