import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { limitPipelining } from "../../../src/server/listen/pipelining.js";
import { SocketGuard } from "../../../src/server/sockets/socket_guard.js";
import { noteCredential } from "../../../src/server/sockets/socket_notes.js";
import { Authority } from "../../fakes/certificates.js";
import { ManualClock } from "../../fakes/manual_clock.js";

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const many = (count: number) => Array.from({ length: count }, (_, i) => `/${i}`);
/** Ends a client that reads until its connection closes. */
const last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const servers: [string, (listener: RequestListener) => Promise<() => Socket>][] = [
  ["TCP", overTcp],
  ["TLS", overTls],
];

function limited(listener: RequestListener): Server {
  const server = createServer(listener);
  limitPipelining(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

function used<S extends Socket>(socket: S): S {
  onTestFinished(() => void socket.destroy());
  return socket.on("error", () => undefined);
}

async function overTcp(listener: RequestListener): Promise<() => Socket> {
  const server = limited(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return () => used(connect((server.address() as AddressInfo).port, "127.0.0.1"));
}

async function overTls(listener: RequestListener): Promise<() => Socket> {
  const authority = new Authority("A CA");
  const { cert, key } = authority.issueServer();
  const server = limited(listener);
  const secure = createTlsServer({ cert, key }, (socket) => void server.emit("connection", used(socket)));
  secure.listen(0, "127.0.0.1");
  onTestFinished(() => void secure.close());
  await once(secure, "listening");
  const { port } = secure.address() as AddressInfo;
  return () => used(connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }));
}

/** Bodies of responses of the type below, in their order, once the server has closed the connection. */
async function bodies(socket: Socket): Promise<string[]> {
  let text = "";
  for await (const chunk of socket) text += (chunk as Buffer).toString("latin1");
  return [...text.matchAll(/\r\n\r\n<(.*?)>/gs)].map(([, body = ""]) => body);
}

/** Sends a request, and reads its response. */
async function answered(socket: Socket, length: number): Promise<void> {
  socket.write(get("/"));
  for (let bytes = 0; bytes < length; ) bytes += ((await once(socket, "data")) as [Buffer])[0].length;
}

/** @returns whether the system took all of it */
function sending(socket: Socket, text: string | Buffer): () => boolean {
  let isSent = false;
  socket.write(text, () => {
    isSent = true;
  });
  return () => isSent;
}

test.each(servers)(
  "pipelined requests are served one or two at a time, and answered all and in order, over %s",
  async (_name, start) => {
    let open = 0;
    let mostOpen = 0;
    const client = await start((request, response) => {
      mostOpen = Math.max(mostOpen, ++open);
      setImmediate(() => {
        open--;
        response.end(`<${request.url}>`);
      });
    });
    const socket = client();
    socket.write(`${many(5_000).map(get).join("")}${last}`);
    expect(await bodies(socket)).toEqual([...many(5_000), "/last"]);
    expect(mostOpen).toBeLessThanOrEqual(2);
  },
);

test.each(servers)(
  "of a client that reads no response no more is read or started than buffers hold, over %s",
  async (_name, start) => {
    const body = "x".repeat(100_000);
    let started = 0;
    const client = await start((_request, response) => {
      started++;
      response.end(body);
    });
    // 20 MiB: more than the system buffers.
    const isSent = sending(client().pause(), get("/").repeat(800_000));
    const other = client();
    for (let i = 0; i < 200; i++) await answered(other, body.length);
    const settled = started;
    await answered(other, body.length);
    expect(settled).toBeLessThan(500);
    expect(started).toBe(settled + 1);
    expect(isSent()).toBe(false);
  },
);

test("a request that comes while another connection has thousands is answered before these", async () => {
  const order: string[] = [];
  const client = await overTcp((request, response) => {
    order.push(request.url ?? "");
    response.end(`<${request.url}>`);
  });
  const greedy = client();
  const one = client();
  await Promise.all([once(greedy, "connect"), once(one, "connect")]);
  greedy.write(`${many(5_000).map(get).join("")}${last}`);
  await once(greedy, "readable");
  one.write(get("/one"));
  await Promise.all([once(one, "data"), bodies(greedy)]);
  expect(order).toHaveLength(5_002);
  expect(order.indexOf("/one")).toBeLessThan(2_500);
});

test("bodies are read whole: with blank lines in them, in chunks, and each before the next request", async () => {
  const client = await overTcp((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => response.end(`<${Buffer.concat(chunks).toString("hex")}>`));
  });
  const blank = "a\r\n\r\nb\r\n\r\n".repeat(50);
  const long = "GET / HTTP/1.1\r\n\r\n".repeat(20_000);
  const post = (body: string) =>
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const chunked = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${blank.length.toString(16)}\r\n${blank}\r\n0\r\n\r\n`;
  const socket = client();
  socket.write(post(blank) + chunked + post("") + post(long) + post("end") + last);
  const hex = (text: string) => Buffer.from(text).toString("hex");
  expect(await bodies(socket)).toEqual([blank, blank, "", long, "end", ""].map(hex));
});

test("a body that nobody reads is not read from the connection either, until somebody does", async () => {
  const requests: IncomingMessage[] = [];
  const client = await overTcp((request, response) => {
    if (request.method === "GET") response.end("<answer>");
    else requests.push(request.on("end", () => response.end("<read>")));
  });
  const length = 50 * 1024 * 1024;
  const socket = client();
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`);
  const isSent = sending(socket, Buffer.alloc(length));
  await expect.poll(() => requests).toHaveLength(1);
  const other = client();
  for (let i = 0; i < 200; i++) await answered(other, 1);
  expect(isSent()).toBe(false);
  requests[0]?.resume();
  expect(await bodies(socket)).toEqual(["read"]);
});

test("a request is answered whose client ends its half with it", async () => {
  const client = await overTcp((request, response) => response.end(`<${request.url}>`));
  const socket = client();
  socket.end(`${get("/a")}${get("/b")}`);
  expect(await bodies(socket)).toEqual(["/a", "/b"]);
});

test("a stranger's connection is closed after some 64 pipelined requests, a caller's and one that waits for each response is not", async () => {
  const guard = new SocketGuard({ maxConnections: 9, clock: new ManualClock(0), onFull: () => undefined });
  onTestFinished(() => guard.close());
  let served = 0;
  const server = limited((request, response) => {
    served++;
    if (request.url === "/known") noteCredential(request.socket);
    response.end(`<${request.url}>`);
  }).listen(0, "127.0.0.1");
  server.on("connection", (socket) => guard.add(socket));
  await once(server, "listening");
  const client = () => used(connect((server.address() as AddressInfo).port, "127.0.0.1"));
  const stranger = client();
  // The rest of what it sent is not read, so the system may reset the connection: `once` would reject with that.
  const closed = new Promise((resolve) => stranger.resume().once("close", resolve));
  stranger.write(get("/").repeat(3_000));
  await closed;
  expect(served).toBeGreaterThanOrEqual(64);
  expect(served).toBeLessThan(70);
  const patient = client();
  for (let i = 0; i < 100; i++) await answered(patient, 1);
  const known = client();
  known.write(`${get("/known")}${many(1_000).map(get).join("")}${last}`);
  expect(await bodies(known)).toHaveLength(1_002);
});

test("where more than 256 connections hold requests, the one that does longest is closed", async () => {
  const client = await overTcp(() => undefined);
  const closed: number[] = [];
  for (let i = 0; i < 258; i++) {
    const socket = client().once("close", () => closed.push(i));
    await once(socket, "connect");
    socket.write(`${get("/held")}${get("/behind")}`);
  }
  await expect.poll(() => closed).toHaveLength(2);
  expect(Math.max(...closed)).toBeLessThan(128);
});
