/**
 * node:http2 and nothing else: `bare_http2_server.ts SOCKET BYTES` keeps every stream open, and on each message of its parent writes one
 * prepared buffer to all of them.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";

const [socket = "", bytes = "0"] = process.argv.slice(2);
const update = Buffer.alloc(Number(bytes), 1);
const streams = new Set<ServerHttp2Stream>();

const server = createServer({ settings: { maxConcurrentStreams: 4_096 } });
server.on("stream", (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  stream.write(update);
  stream.on("error", () => undefined);
  streams.add(stream);
  stream.once("close", () => streams.delete(stream));
});
server.listen(socket, () => process.send?.("ready"));
process.on("message", () => {
  const startedNs = process.hrtime.bigint().toString();
  for (const stream of streams) stream.write(update);
  process.send?.({ answeredNs: startedNs });
});
process.once("disconnect", () => process.exit(0));
