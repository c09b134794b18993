import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestTls } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld, tokenOf } from "./egress_world.js";

const chunk = Buffer.alloc(64 * 1024, "x");
const wholeBytes = 48 * 1024 * 1024;
/** What buffers of kernels and of both ends may hold: far less than the whole, which an end that does not wait would send. */
const buffersBytes = wholeBytes / 2;

const egress = perTest(() => EgressWorld.start());

/** Sends the whole as fast as it may. */
class Sender {
  bytes = 0;

  constructor(to: Writable) {
    to.on("error", () => undefined);
    void this.#send(to);
  }

  async #send(to: Writable): Promise<void> {
    while (this.bytes < wholeBytes) {
      this.bytes += chunk.length;
      if (!to.write(chunk)) await once(to, "drain");
    }
    to.end();
  }

  /** What was sent when nothing moves any more: every part of the way runs in this process. */
  async stalledAt(): Promise<number> {
    for (let before = -1, quiet = 0; quiet < 500; ) {
      await setImmediate();
      quiet = this.bytes === before ? quiet + 1 : 0;
      before = this.bytes;
    }
    return this.bytes;
  }
}

/** Reads slower than anything on the way. */
async function bytesOf(from: Readable): Promise<number> {
  let bytes = 0;
  for await (const read of from) {
    bytes += (read as Buffer).length;
    for (let turn = 0; turn < 10; turn++) await setImmediate();
  }
  return bytes;
}

/** @param leastBytes what must be under way at least: else the way to the API decides how fast a transfer is */
async function expectBackpressure(
  sender: () => Sender | undefined,
  reader: Readable,
  leastBytes = 1,
): Promise<void> {
  await expect.poll(() => sender()?.bytes ?? 0).toBeGreaterThan(0);
  const stalledAt = await sender()?.stalledAt();
  expect(stalledAt).toBeGreaterThanOrEqual(leastBytes);
  expect(stalledAt).toBeLessThan(buffersBytes);
  expect(await bytesOf(reader)).toBe(wholeBytes);
}

async function webSocket(): Promise<Duplex> {
  const socket = await egress.tls("api.localhost", ["http/1.1"]);
  const head = `host: api.localhost:${egress.port}\r\nconnection: Upgrade\r\nupgrade: websocket`;
  socket.write(`GET /v1/live HTTP/1.1\r\n${head}\r\n\r\n`);
  const [first] = await once(socket, "data");
  expect(String(first)).toMatch(/^HTTP\/1.1 101/);
  socket.pause();
  return socket;
}

describe.each([1, 2] as const)("a stream over HTTP/%i", (version) => {
  it("brings each event before the next is sent", async () => {
    let send = (_: string): unknown => undefined;
    egress.api.serve = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      send = (text) => response.write(text);
    };
    const { sent, answered, close } = await egress.open("/v1/events", { version });
    sent.end();
    const { body } = await answered;
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      send(event);
      expect(String((await once(body, "data"))[0])).toBe(event);
    }
    close();
  });

  it("brings each part of an upload before the next is sent", async () => {
    const parts: string[] = [];
    egress.api.serve = (request, response) => {
      request.on("data", (part) => parts.push(String(part))).on("end", () => response.end("ok"));
    };
    const { sent, answered, close } = await egress.open("/v1/upload", { version, method: "POST" });
    for (const part of ["first", "second"]) {
      sent.write(part);
      await expect.poll(() => parts.at(-1)).toBe(part);
    }
    sent.end();
    expect((await answered).status).toBe(200);
    close();
  });

  it("waits for a program that reads slowly", async () => {
    let sender: Sender | undefined;
    egress.api.serve = (_, response) => {
      response.writeHead(200);
      sender = new Sender(response);
    };
    const { sent, answered, close } = await egress.open("/v1/download", { version });
    sent.end();
    await expectBackpressure(() => sender, (await answered).body, 1024 * 1024);
    close();
  });

  it("waits for an API that reads slowly", async () => {
    let arriving: Readable | undefined;
    egress.api.serve = (request, response) => {
      arriving = request.once("end", () => response.end("ok"));
    };
    const { sent, answered, close } = await egress.open("/v1/upload", { version, method: "POST" });
    const sender = new Sender(sent);
    await expect.poll(() => arriving).toBeDefined();
    await expectBackpressure(() => sender, arriving as Readable, 1024 * 1024);
    expect((await answered).status).toBe(200);
    close();
  });
});

describe.each([1, 2] as const)("an upload over HTTP/%i that waits for 100 Continue", (version) => {
  it.each(["100-continue", "100-Continue", "100-CONTINUE"])("gets it for %s", async (expectation) => {
    const headers = { expect: expectation, "content-length": "5" };
    const opened = await egress.open("/v1/upload", { version, method: "POST", headers });
    if (version === 1) (opened.sent as ClientRequest).flushHeaders();
    await once(opened.sent, "continue");
    opened.sent.end("hello");
    expect((await opened.answered).status).toBe(200);
    expect(egress.received).toMatchObject([{ body: "hello" }]);
    opened.close();
  });

  it("is refused where it expects something else", async () => {
    const answer = await egress.ask("/v1/upload", {
      version,
      method: "POST",
      headers: { expect: "a miracle" },
    });
    expect(answer).toMatchObject({ status: 417, headers: { "content-type": "application/problem+json" } });
    expect(egress.received).toEqual([]);
  });
});

it("an upload that the API does not read is taken from a program that sends all of it before it reads the answer", async () => {
  // Left open: where a server closes with much unread, TCP may lose its answer (RFC 9112 section 9.6).
  egress.api.serve = ({ socket }) =>
    void socket.write("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  const socket = await egress.tls("api.localhost", ["http/1.1"]);
  const head = `host: api.localhost:${egress.port}\r\ncontent-length: ${wholeBytes}`;
  socket.write(`POST /v1/upload HTTP/1.1\r\n${head}\r\n\r\n`);
  const sender = new Sender(socket);
  await expect.poll(() => sender.bytes).toBe(wholeBytes);
  await expect.poll(() => socket.writableLength).toBe(0);
  expect(socket.errored).toBe(null);
  expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1.1 413/);
  socket.destroy();
});

describe.each([
  [1, "http/1.1"],
  [2, "h2"],
] as const)("a program that closes its connection of HTTP/%i in order", (version, alpn) => {
  /** Sends a request, and then what closes TLS and TCP, but reads on. */
  const leave = async (): Promise<TLSSocket> => {
    const socket = await egress.tls("api.localhost", [alpn]);
    onTestFinished(() => void socket.destroy());
    if (version === 1)
      socket.write(`POST /v1/a HTTP/1.1\r\nhost: api.localhost:${egress.port}\r\ncontent-length: 0\r\n\r\n`);
    else {
      const session = connectHttp2(`https://api.localhost:${egress.port}`, {
        createConnection: () => socket,
      });
      session.on("error", () => undefined);
      session
        .request({ ":method": "POST", ":path": "/v1/a" })
        .on("error", () => undefined)
        .end();
    }
    return socket;
  };

  it("has its held request forgotten", async () => {
    let agree = (): void => undefined;
    egress.asking = new Promise<void>((resolve) => {
      agree = resolve;
    });
    const socket = await leave();
    await expect.poll(() => egress.acquiredFor).toHaveLength(1);
    socket.end();
    await once(socket, "close");
    agree();
    await egress.ask("/v1/next");
    expect(egress.received.map(({ path }) => path)).toEqual(["/v1/next"]);
  });

  it("has its request to the API ended", async () => {
    const seen: string[] = [];
    egress.api.serve = ({ url = "" }, response) => {
      seen.push(url);
      response.once("close", () => response.writableEnded || seen.push("ended"));
    };
    const socket = await leave();
    await expect.poll(() => seen).toEqual(["/v1/a"]);
    socket.end();
    await expect.poll(() => seen).toEqual(["/v1/a", "ended"]);
  });
});

describe("tunnels to many names", () => {
  const many = perTest(() =>
    EgressWorld.start({
      providers: (port) => [
        {
          name: "deep",
          apiBaseUrl: `https://deep.localhost:${port}`,
          apiHosts: [`*.many.localhost:${port}`],
        },
      ],
    }),
  );

  it("serve each on, though few names have a server at a time", async () => {
    const sockets: TLSSocket[] = [];
    for (let at = 0; at < 70; at++) sockets.push(await many.tls(`n${at}.many.localhost`, ["http/1.1"]));
    for (const at of [0, 69]) {
      sockets[at]?.write(`GET / HTTP/1.1\r\nhost: n${at}.many.localhost:${many.port}\r\n\r\n`);
      // The API proves to be another host.
      expect(String((await once(sockets[at] as TLSSocket, "data"))[0])).toMatch(/^HTTP\/1.1 502/);
    }
    for (const socket of sockets) socket.destroy();
  });
});

describe("a program that pipelines requests", () => {
  const request = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nhost: api.localhost:${egress.port}\r\n\r\n`;

  it("and reads no answer has few of them worked on, and others are answered meanwhile", async () => {
    egress.respond = (_, response) => void response.end("x".repeat(100_000));
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    socket.pause().write(request("/v1/unread").repeat(2_000));
    for (let at = 0; at < 20; at++) expect((await egress.ask("/v1/other")).status).toBe(200);
    const worked = egress.received.filter(({ path }) => path === "/v1/unread").length;
    expect(worked).toBeGreaterThan(0);
    expect(worked).toBeLessThan(200);
    socket.destroy();
  });

  it("gets all answers, in order", async () => {
    egress.respond = ({ path }, response) => void response.end(`<${path}>`);
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    const paths = Array.from({ length: 300 }, (_, at) => `/v1/${at}`);
    const last = request("/v1/last").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    socket.write(paths.map(request).join("") + last);
    const got = [...(await text(socket)).matchAll(/<(.*?)>/g)].map(([, path]) => path);
    expect(got).toEqual([...paths, "/v1/last"]);
  });
});

it("brings what a program sends behind the request of an upgrade, before it is answered", async () => {
  const socket = await egress.tls("api.localhost", ["http/1.1"]);
  const head = `host: api.localhost:${egress.port}\r\nconnection: Upgrade\r\nupgrade: websocket`;
  socket.write(`GET /v1/live HTTP/1.1\r\n${head}\r\n\r\nearly\r\n\r\nbytes`);
  let got = "";
  socket.on("data", (bytes) => {
    got += bytes;
  });
  await expect.poll(() => got).toMatch(/early\r\n\r\nbytes$/);
  socket.end();
});

describe("a WebSocket", () => {
  it.each(["a program", "an API"])("waits for %s that reads slowly", async (who) => {
    let far: Duplex | undefined;
    egress.api.upgraded = (socket) => {
      far = socket;
    };
    const near = await webSocket();
    await expect.poll(() => far).toBeDefined();
    const [from, to] = who === "an API" ? [near, far as Duplex] : [far as Duplex, near];
    const sender = new Sender(from);
    await expectBackpressure(() => sender, to);
    near.destroy();
  });
});

it("a refused WebSocket has the whole answer, and its connection ends", async () => {
  egress.api.refusesUpgrades = true;
  const socket = await egress.tls("api.localhost", ["http/1.1"]);
  const headers = { connection: "Upgrade", upgrade: "websocket", host: `api.localhost:${egress.port}` };
  const sent = requestTls({ createConnection: () => socket, path: "/v1/live", headers }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  expect([answer.statusCode, await text(answer)]).toEqual([403, `not for you, ${"*".repeat(canary.length)}`]);
  if (!socket.closed) await once(socket, "close");
});

describe("a WebSocket whose credential the API refuses", () => {
  const stale = "stale-key-5e6f7a8b";
  const unauthorized = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\nconnection: close\r\n\r\nstale";

  it("is asked for once more with the fresh one", async () => {
    egress.acquired = [tokenOf(stale), tokenOf(canary, 2n)];
    egress.api.upgradesWith = (key) => (key === stale ? unauthorized : undefined);
    const socket = await webSocket();
    socket.resume().write("ping");
    expect(String((await once(socket, "data"))[0])).toBe("ping");
    expect(egress.reported).toMatchObject([{ status: 401, revision: 1n }]);
    expect(egress.acquiredFor).toMatchObject([{}, { request: { repeats: true } }]);
    socket.destroy();
  });

  it("has the second answer, whatever that is", async () => {
    egress.acquired = [tokenOf(stale), tokenOf(stale, 2n)];
    egress.api.upgradesWith = () => unauthorized;
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    const headers = { connection: "Upgrade", upgrade: "websocket", host: `api.localhost:${egress.port}` };
    const sent = requestTls({ createConnection: () => socket, path: "/v1/live", headers }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    expect([answer.statusCode, await text(answer)]).toEqual([401, "stale"]);
    expect(egress.reported.length).toBe(1);
  });
});

describe("a tunnel that nobody looks into", () => {
  const plain = perTest(async () => {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return server;
  });
  const portOf = (): number => (plain.address() as AddressInfo).port;
  /** Both ends of a way to `plain`. */
  const opened = async (open: () => Promise<Socket>): Promise<readonly [Socket, Socket]> => {
    const arrived = once(plain, "connection") as Promise<[Socket]>;
    const [near, [far]] = await Promise.all([open(), arrived]);
    onTestFinished(() => [near, far].forEach((socket) => void socket.destroy()));
    return [near, far];
  };
  const through = () => opened(() => egress.tunnel(`other.localhost:${portOf()}`));

  it.each([
    [0, 1],
    [1, 0],
  ] as const)(
    "waits for whoever reads slowly, and brings the last bytes of who has closed",
    async (at, to) => {
      const ends = await through();
      const sender = new Sender(ends[at]);
      await expectBackpressure(() => sender, ends[to]);
    },
  );

  it.runIf(process.platform === "linux")(
    "has the kernel ask a quiet server whether it is there",
    async () => {
      const [, far] = await through();
      const [from, to] = [far.remotePort ?? 0, portOf()].map((port) =>
        port.toString(16).toUpperCase().padStart(4, "0"),
      );
      // Columns: number, local and remote address, state (1 is open), queues, timer (2 is that of keepalive).
      const ours = readFileSync("/proc/net/tcp", "utf8").match(
        new RegExp(`: 0100007F:${from} 0100007F:${to} 01 .*`),
      );
      expect(ours?.[0].split(/\s+/).at(5)).toMatch(/^02:/);
    },
  );

  it("brings what a program sends behind its CONNECT, before it is answered", async () => {
    const { port, username, password } = egress.proxyUrl;
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const arrived = once(plain, "connection") as Promise<[Socket]>;
    const near = connect(Number(port), "127.0.0.1");
    onTestFinished(() => void near.destroy());
    near
      .resume()
      .write(
        `CONNECT other.localhost:${portOf()} HTTP/1.1\r\nproxy-authorization: Basic ${basic}\r\n\r\nearly\r\n\r\nbytes`,
      );
    const [far] = await arrived;
    expect(String((await once(far, "data"))[0])).toBe("early\r\n\r\nbytes");
    far.destroy();
  });

  it("closes one side when the other is cut off", async () => {
    const [near, far] = await through();
    near.on("error", () => undefined).resume();
    far.resetAndDestroy();
    await once(near, "close");
    const [other, server] = await through();
    server.on("error", () => undefined).resume();
    other.destroy();
    await once(server, "close");
  });
});

describe("an API that allows few streams at once", () => {
  const few = perTest(() => EgressWorld.start({ apiSettings: { maxConcurrentStreams: 3 } }));

  it("answers a request while other streams stay open", async () => {
    few.api.serve = ({ url }, response) => {
      response.writeHead(200).write("first ");
      if (url === "/v1/user") response.end();
    };
    const streams = await Promise.all(
      Array.from({ length: 7 }, async () => {
        const opened = await few.open("/v1/events", { version: 2 });
        opened.sent.end();
        await once((await opened.answered).body, "data");
        return opened;
      }),
    );
    expect((await few.ask("/v1/user", { version: 2 })).status).toBe(200);
    for (const { close } of streams) close();
  });
});
