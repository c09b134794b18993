import { describe, expect, it } from "vitest";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld } from "./egress_world.js";

/** Requests that two parsers could take for different ones (RFC 9112 sections 5 and 6). `HOST` stands for the right one. */
const smuggled: readonly (readonly [what: string, request: string])[] = [
  ["two lengths", "POST /v1/a HTTP/1.1\r\nHOST\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
  [
    "a length beside chunks",
    "POST /v1/a HTTP/1.1\r\nHOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["another coding", "POST /v1/a HTTP/1.1\r\nHOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  [
    "chunked that is not last",
    "POST /v1/a HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
  ],
  ["a length with a sign", "POST /v1/a HTTP/1.1\r\nHOST\r\nContent-Length: +5\r\n\r\nhello"],
  [
    "a chunk with a wrong length",
    "POST /v1/a HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
  ],
  [
    "a chunk that ends in a bare LF",
    "POST /v1/a HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
  ],
  ["a bare LF", "GET /v1/a HTTP/1.1\nHOST\n\n"],
  ["a bare CR in a value", "GET /v1/a HTTP/1.1\r\nHOST\r\nX-A: a\rX-B: b\r\n\r\n"],
  ["a folded line", "GET /v1/a HTTP/1.1\r\nHOST\r\nX-A: a\r\n X-B: b\r\n\r\n"],
  ["a space before the colon", "GET /v1/a HTTP/1.1\r\nHOST\r\nContent-Length : 0\r\n\r\n"],
  ["two hosts", "GET /v1/a HTTP/1.1\r\nHOST\r\nHost: evil.example\r\n\r\n"],
  ["no host", "GET /v1/a HTTP/1.1\r\nX-A: a\r\n\r\n"],
  ["an absolute URL of another host", "GET https://evil.example/v1/a HTTP/1.1\r\nHOST\r\n\r\n"],
  ["a URL with another scheme", "GET ftp://x/v1/a HTTP/1.1\r\nHOST\r\n\r\n"],
  ["64 KiB of fields", `GET /v1/a HTTP/1.1\r\nHOST\r\n${"X-A: a\r\n".repeat(8_192)}\r\n`],
  ["U+0000 in a value", "GET /v1/a HTTP/1.1\r\nHOST\r\nX-A: a\0b\r\n\r\n"],
];

describe("a request that could be read in two ways", () => {
  const egress = perTest(() => EgressWorld.start());

  it.each(smuggled)("is refused for %s, and never sent with the credential", async (_, request) => {
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    socket.on("error", () => undefined);
    // It may be reset, too: `once` would reject then.
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const host = `Host: api.localhost:${egress.port}`;
    socket.write(request.replace("HOST", host));
    // Where the connection is not closed at once, a second request shows where the parser believes to be.
    socket.write(`GET /v1/second HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`);
    await closed;
    expect(got).not.toMatch(/^HTTP\/1.1 200/);
    expect(egress.received.filter(({ path }) => path !== "/v1/second")).toEqual([]);
    expect(got).not.toContain(canary);
  });
});

/** What a proxy that writes HTTP/1.1 or HTTP/2 to the API could turn into another request (RFC 9113 section 8.3). */
const smuggledInHttp2: readonly (readonly [what: string, headers: Readonly<Record<string, string>>])[] = [
  ["another authority", { ":authority": "evil.example" }],
  ["another host beside the authority", { host: "evil.example" }],
  ["a user in the authority", { ":authority": "evil.example@api.localhost" }],
  ["an absolute URL as its path", { ":path": "https://evil.example/v1/a" }],
  ["a path without a slash", { ":path": "v1/a" }],
  ["a line break in the path", { ":path": "/v1/a HTTP/1.1\r\nhost: evil.example" }],
  ["a request line as its method", { ":method": "GET /v1/b HTTP/1.1" }],
  ["another length than its body's", { ":method": "POST", "content-length": "50" }],
  ["TRACE", { ":method": "TRACE" }],
];

describe("a request over HTTP/2 that could be read in two ways", () => {
  const egress = perTest(() => EgressWorld.start());

  it.each(smuggledInHttp2)("is refused for %s, and reaches no API", async (_, headers) => {
    const answer = egress.ask("/v1/a", { version: 2, headers, body: "hello" });
    const status = await answer.then(
      (each) => each.status,
      () => "reset",
    );
    expect([400, 405, 421, "reset"]).toContain(status);
    expect(egress.received).toEqual([]);
  });
});
