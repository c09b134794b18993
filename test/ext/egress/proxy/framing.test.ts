import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld } from "./egress_world.js";
import { ProxyClient } from "./proxy_client.js";
import { RawApi } from "./raw_api.js";

/** A body that is a request to whoever takes it for one. */
const inner = "GET /v1/inner HTTP/1.1\r\nHost: api.localhost\r\nX-Inner: ";
const chunked = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
const methods = ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PROPFIND"];
/** What frames the body between the program and the proxy. */
const frames: readonly (readonly [what: string, fields: readonly string[], body: string])[] = [
  ["its length", [`Content-Length: ${inner.length}`], inner],
  [
    "its length, which Connection names",
    [`Content-Length: ${inner.length}`, "Connection: content-length"],
    inner,
  ],
  [
    "its length, which Connection names in capitals",
    [`Content-Length: ${inner.length}`, "Connection: keep-alive, Content-Length"],
    inner,
  ],
  ["chunks", ["Transfer-Encoding: chunked"], chunked],
  [
    "chunks, which Connection names",
    ["Transfer-Encoding: chunked", "Connection: transfer-encoding"],
    chunked,
  ],
  [
    "chunks after a list of codings",
    ["Transfer-Encoding: Chunked", "TE: trailers", "Connection: te"],
    chunked,
  ],
];
const cases = methods.flatMap((method) => frames.map((frame) => [method, ...frame] as const));

const api = perTest(() => RawApi.start());
const world = perTest(() =>
  EgressWorld.start({
    roots: api.ca,
    providers: () => [{ name: "deep", apiBaseUrl: `https://api.localhost:${api.port}/v1` }],
  }),
);
const program = (): ProxyClient => new ProxyClient(world.proxyUrl, world.authority.pem, api.port);

/** Writes the request and reads to the end of the connection. */
async function written(socket: Socket, request: string): Promise<string> {
  let got = "";
  socket.on("data", (chunk) => {
    got += chunk;
  });
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(request);
  await closed;
  return got;
}

/** Whatever came before, the next request is one request. */
async function expectNextIsWhole(): Promise<void> {
  expect((await program().ask("/v1/next")).body).toBe("ok");
  expect(api.requests.at(-1)?.head).toMatch(/^GET \/v1\/next HTTP\/1\.1\r\n/);
  expect(api.requests.filter(({ head }) => head.includes("inner"))).toEqual([]);
}

function head(method: string, path: string, fields: readonly string[]): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: api.localhost:${api.port}`, ...fields];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

describe("a body keeps a frame on its way to the API", () => {
  it.each(cases)("of a %s with %s", async (method, _, fields, body) => {
    const socket = await program().tls("api.localhost", ["http/1.1"]);
    const request = head(method, "/v1/outer", fields) + body;
    await written(socket, request + head("GET", "/v1/last", ["Connection: close"]));
    expect(api.requests[0]).toMatchObject({ body: inner });
    expect(api.requests[0]?.head).toMatch(new RegExp(`^${method} /v1/outer`));
    expect(api.requests[0]?.head.match(/^(content-length|transfer-encoding):/gim)).toHaveLength(1);
    expect(api.requests[0]?.head).toContain(`host: api.localhost:${api.port}`);
    await expectNextIsWhole();
  });

  it.each(methods)("of a %s over HTTP/2 without a length", async (method) => {
    const answer = await program().ask("/v1/outer", { version: 2, method, body: inner });
    expect(answer.status).toBe(200);
    expect(api.requests).toMatchObject([{ body: inner }]);
    await expectNextIsWhole();
  });

  it.each(methods)("of a %s over HTTP/2 with a length", async (method) => {
    const headers = { "content-length": `${inner.length}` };
    const answer = await program().ask("/v1/outer", { version: 2, method, body: inner, headers });
    expect(answer.status).toBe(200);
    expect(api.requests).toMatchObject([{ body: inner }]);
    expect(api.requests[0]?.head).toMatch(new RegExp(`^content-length: ${inner.length}\r$`, "m"));
    await expectNextIsWhole();
  });

  it.each(["GET", "HEAD", "DELETE", "OPTIONS"])(
    "of which a %s over HTTP/2 has none: its stream ends in an empty frame",
    async (method) => {
      expect((await program().ask("/v1/outer", { version: 2, method })).status).toBe(200);
      expect(api.requests[0]?.head).not.toMatch(/^(content-length|transfer-encoding):/im);
      await expectNextIsWhole();
    },
  );

  it("that is shorter than its length is cut off, and so is the connection to the API", async () => {
    const asked = { version: 2, method: "POST", headers: { "content-length": "50" }, body: inner } as const;
    const answer = program().ask("/v1/outer", { ...asked, headers: { "content-length": "5000" } });
    await expect(answer).rejects.toThrow();
    expect(api.requests).toEqual([]);
    await expectNextIsWhole();
  });
});

describe("what Connection names", () => {
  it("is taken off, but for the host and the credential", async () => {
    const fields = ["Connection: host, x-api-key, X-Own, accept-encoding", "X-Own: 1"];
    const socket = await program().tls("api.localhost", ["http/1.1"]);
    await written(socket, head("GET", "/v1/a", fields) + head("GET", "/v1/b", ["Connection: close"]));
    const got = api.requests[0]?.head ?? "";
    expect(got).toContain(`host: api.localhost:${api.port}`);
    expect(got).toContain(`x-api-key: ${canary}`);
    expect(got).not.toMatch(/^x-own:/im);
  });
});

describe("an upgrade", () => {
  const upgrade = (fields: readonly string[], protocol = "websocket"): string =>
    head("GET", "/v1/outer", ["Connection: Upgrade", `Upgrade: ${protocol}`, ...fields]);

  it.each([
    ["a length", [`Content-Length: ${inner.length}`], inner],
    ["a length and no body", [`Content-Length: ${inner.length}`], ""],
    [
      "a length that Connection names",
      [`Content-Length: ${inner.length}`, "Connection: Content-Length"],
      inner,
    ],
    ["chunks", ["Transfer-Encoding: chunked"], chunked],
    ["chunks and no body", ["Transfer-Encoding: chunked"], ""],
  ] as const)("is refused with %s, and never sent", async (_, fields, body) => {
    const socket = await program().tls("api.localhost", ["http/1.1"]);
    expect(await written(socket, upgrade(fields) + body)).toMatch(/^HTTP\/1.1 400 [\s\S]*body/);
    expect(api.log).toBe("");
    await expectNextIsWhole();
  });

  it.each(["h2c", "websocket, h2c", "HTTP/2.0", "TLS/1.2, HTTP/1.1"])(
    "to %s is refused: requests behind it would be judged by nobody",
    async (protocol) => {
      const socket = await program().tls("api.localhost", ["http/1.1"]);
      const settings = ["HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];
      expect(await written(socket, upgrade(settings, protocol))).toMatch(/^HTTP\/1.1 400 [\s\S]*ALPN/);
      expect(api.log).toBe("");
    },
  );

  it("that the API refuses early leaves no connection to the next caller", async () => {
    api.isEarly = true;
    api.respond = () => "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    const socket = await program().tls("api.localhost", ["http/1.1"]);
    expect(await written(socket, upgrade(["Content-Length: 0"]))).toMatch(/^HTTP\/1.1 403/);
    expect(api.requests[0]?.head).not.toMatch(/^content-length/im);
    await program().ask("/v1/next");
    expect(api.requests.map(({ connection }) => connection)).toEqual([1, 2]);
  });
});

describe("a connection to the API", () => {
  const answers: readonly (readonly [what: string, answer: string, isKept: boolean])[] = [
    ["framed by its length", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true],
    ["framed by chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true],
    ["without a body", "HTTP/1.1 204 No Content\r\n\r\n", true],
    [
      "and one that nobody asked for",
      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
      false,
    ],
    ["and bytes behind it", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n\r\nevil", false],
    [
      "with a length and chunks",
      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      false,
    ],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false],
  ];

  it.each(answers)("after an answer %s", async (_, answer, isKept) => {
    let isFirst = true;
    const { respond } = api;
    api.respond = (request) => {
      const now = isFirst ? answer : respond(request);
      isFirst = false;
      return now;
    };
    await program()
      .ask("/v1/first")
      .catch(() => undefined);
    // What came late is there by now.
    await new Promise((resolve) => setImmediate(resolve));
    expect((await program().ask("/v1/second")).body).toBe("ok");
    expect(api.requests.map(({ connection }) => connection)).toEqual([1, isKept ? 1 : 2]);
  });
});

describe("a request with an absolute http URL", () => {
  const plain = perTest(() => RawApi.start({ isPlain: true }));
  const absoluteHead = (method: string, path: string, fields: readonly string[]): string => {
    const { username, password } = world.proxyUrl;
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const host = `plain.localhost:${plain.port}`;
    const lines = [`Host: ${host}`, `Proxy-Authorization: Basic ${basic}`, ...fields];
    return `${method} http://${host}${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
  };
  /** A connection to the proxy on which the head of a request was written. */
  const absolute = async (method: string, fields: readonly string[]): Promise<Socket> => {
    const socket = connect(Number(world.proxyUrl.port), "127.0.0.1");
    await once(socket, "connect");
    socket.write(absoluteHead(method, "/outer", fields));
    return socket;
  };

  it.each(cases)("keeps a frame for the body of a %s with %s", async (method, _, fields, body) => {
    const last = absoluteHead("GET", "/last", ["Connection: close"]);
    await written(await absolute(method, fields), body + last);
    expect(plain.requests[0]).toMatchObject({ body: inner });
    expect(plain.requests[0]?.head.match(/^(content-length|transfer-encoding):/gim)).toHaveLength(1);
    expect(plain.requests.filter((request) => request.head.includes("inner"))).toEqual([]);
  });

  it("is answered once, whatever the server sends behind its answer", async () => {
    plain.respond = () => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and no HTTP\r\n\r\n";
    const fields = ["Connection: close"];
    expect(await written(await absolute("GET", fields), "")).toMatch(/ok$/);
    expect(await written(await absolute("HEAD", fields), "")).toMatch(/^HTTP\/1.1 200/);
  });
});
