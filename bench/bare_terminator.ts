/** The smallest proxy of Node that ends TLS: it passes requests of HTTP/1.1 on to this machine over kept connections, and knows no credential. */
import { createServer } from "node:http";
import { Agent, createServer as createTlsServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { Authority } from "../test/fakes/certificates.js";

const [, , port, ca] = process.argv;
const issuer = new Authority("bare terminating proxy");
const agent = new Agent({ keepAlive: true, ...(ca && { ca }) });
const inner = createTlsServer(issuer.issueServer(), (near, response) => {
  const { method, url: path, headers } = near;
  const options = { host: "localhost", port, method, path, headers, agent };
  const sent = request(options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  near.pipe(sent);
});
const server = createServer().on("connect", (_, socket) => {
  socket.write("HTTP/1.1 200 OK\r\n\r\n");
  inner.emit("connection", socket);
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port, ca: issuer.pem });
});
process.once("disconnect", () => process.exit(0));
