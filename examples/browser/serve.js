/**
 * Serves the page, and passes its calls on to the daemon with the key that the page does not get to see. The daemon sends
 * no CORS headers, so a page of another origin cannot read its answers, and a page needs a server of its own.
 *
 *     NEXUS_API_KEY_FILE=admin.key NEXUS_ADDRESS=http://127.0.0.1:8090 node serve.js [PORT]
 */
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";

const daemon = process.env["NEXUS_ADDRESS"] ?? "http://127.0.0.1:8090";
const keyFile = process.env["NEXUS_API_KEY_FILE"];
if (!keyFile) {
  console.error("NEXUS_API_KEY_FILE must name the file of the API key: the daemon's is <data-dir>/admin.key");
  process.exit(2);
}
const apiKey = readFileSync(keyFile, "utf8").trim();
const files = {
  "/": ["text/html; charset=utf-8", readFileSync(new URL("index.html", import.meta.url))],
  "/page.js": ["text/javascript", readFileSync(new URL("dist/page.js", import.meta.url))],
};
/** The one method that the page needs: the key opens all of them. */
const watchTokens = "/nexus.v1.TokenService/WatchTokens";
let origin = "";

const server = createServer((incoming, outgoing) => {
  const path = new URL(incoming.url ?? "/", origin).pathname;
  if (incoming.method === "GET" && files[path]) {
    const [type, body] = files[path];
    outgoing.writeHead(200, {
      "content-type": type,
      "content-security-policy": "default-src 'self'; img-src data:",
    });
    outgoing.end(body);
    return;
  }
  // A page of another origin has no business here, nor one that calls this server by another name.
  if (path !== watchTokens || incoming.method !== "POST" || incoming.headers.origin !== origin) {
    outgoing.writeHead(404).end();
    return;
  }
  const { host, cookie, connection, ...headers } = incoming.headers;
  const call = request(daemon + path, {
    method: "POST",
    headers: { ...headers, authorization: `Bearer ${apiKey}` },
  });
  call.on("response", (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on("error", () => outgoing.destroy()).pipe(outgoing);
  });
  call.on("error", () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(503).end()));
  outgoing.on("close", () => call.destroy());
  incoming.pipe(call);
});

server.listen(Number(process.argv[2] ?? 8000), "127.0.0.1", () => {
  origin = `http://localhost:${server.address().port}`;
  console.log(`open ${origin}`);
});
