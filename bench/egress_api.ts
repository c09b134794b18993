/** An API over TLS, for `localhost`: `/v1/large?N` has N bytes, every other path two. */
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { Authority } from "../test/fakes/certificates.js";

const chunk = Buffer.alloc(64 * 1024);
const issuer = new Authority("API of the bench");
const server = createSecureServer({ ...issuer.issueServer(), allowHTTP1: true }, ({ url }, response) => {
  const [, bytes] = /^\/v1\/large\?(\d+)$/.exec(url) ?? [];
  if (bytes === undefined) return void response.writeHead(200, { "content-length": 2 }).end("ok");
  Readable.from(Array(Number(bytes) / chunk.length).fill(chunk)).pipe(response as never);
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port, ca: issuer.pem });
});
process.once("disconnect", () => process.exit(0));
