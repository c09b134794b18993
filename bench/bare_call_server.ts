/**
 * node:http2 and nothing else: `bare_call_server.ts SOCKET MESSAGES BYTES [FOLDER]` answers each call, once its request is there, with as many
 * messages of gRPC of as many bytes, and the status. With a folder it has lmdb too: each message is read from a store there, where it lies
 * sealed by AES-256-GCM.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { join } from "node:path";
import { open } from "lmdb";

const nonceBytes = 12;
const tagBytes = 16;

const [socket = "", messages = "1", bytes = "0", folder] = process.argv.slice(2);
const message = Buffer.alloc(5 + Number(bytes), 1);
message.writeUInt8(0);
message.writeUInt32BE(Number(bytes), 1);
const messageAt = folder === undefined ? () => message : await sealedIn(folder);

/** A store of as many sealed messages. @returns opens the one of an index */
async function sealedIn(place: string): Promise<(index: number) => Buffer> {
  const store = open<Buffer, number>({ path: join(place, "bare.mdb"), encoding: "binary", cache: false });
  const key = randomBytes(32);
  await store.transaction(() => {
    for (let index = 0; index < Number(messages); index++) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const sealed = [nonce, cipher.update(message), cipher.final(), cipher.getAuthTag()];
      void store.put(index, Buffer.concat(sealed));
    }
  });
  return (index) => {
    const sealed = store.getBinary(index) ?? Buffer.alloc(0);
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, nonceBytes));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  };
}
const headers = { ":status": 200, "content-type": "application/grpc+proto" };

function answer(stream: ServerHttp2Stream): void {
  stream.respond(headers, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": 0 }));
  let left = Number(messages);
  const write = (): void => {
    while (--left > 0) {
      if (!stream.write(messageAt(left))) {
        stream.once("drain", write);
        return;
      }
    }
    stream.end(messageAt(0));
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
