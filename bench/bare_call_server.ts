/**
 * node:http2 and nothing else: `bare_call_server.ts SOCKET MESSAGES BYTES` answers each call, once its request is there, with as many messages
 * of gRPC of as many bytes, and the status.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";

const [socket = "", messages = "1", bytes = "0"] = process.argv.slice(2);
const message = Buffer.alloc(5 + Number(bytes), 1);
message.writeUInt8(0);
message.writeUInt32BE(Number(bytes), 1);
const headers = { ":status": 200, "content-type": "application/grpc+proto" };

function answer(stream: ServerHttp2Stream): void {
  stream.respond(headers, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": 0 }));
  let left = Number(messages);
  const write = (): void => {
    while (--left > 0) {
      if (!stream.write(message)) {
        stream.once("drain", write);
        return;
      }
    }
    stream.end(message);
  };
  write();
}

const server = createServer({ settings: { maxConcurrentStreams: 4_096 } });
server.on("stream", (stream) => {
  stream.on("error", () => undefined);
  stream.on("end", () => answer(stream));
  stream.resume();
});
server.listen(socket, () => process.send?.("ready"));
process.once("disconnect", () => process.exit(0));
