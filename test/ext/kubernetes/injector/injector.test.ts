import { once } from "node:events";
import { request as sendRequest } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import { expect, it, onTestFinished, vi } from "vitest";
import { Injector } from "../../../../src/ext/kubernetes/injector/injector.js";
import { serverCertificate } from "../../../../src/server/tls/authority.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { silentLog } from "../../../silent_log.js";
import { aPod } from "./pods.js";

const mebibyte = 1024 * 1024;
const host = "127.0.0.1";

/** An injector with a certificate of its own; its port. */
async function anInjector(): Promise<number> {
  const clock = new ManualClock(Date.now());
  const made = await serverCertificate({ name: "test", hosts: [host], days: 1, nowMs: clock.nowMs() });
  const options = {
    ...{ injector: "agents-nexusd-injector", image: "registry.example.com/nexusd:0.1.0" },
    ...{ upstream: "https://nexusd.agents.svc", upstreamCa: undefined, audience: "nexusd" },
  };
  const certificate = { ensure: async () => made, watch: () => ({ stop: async () => {} }) };
  const deps = { certificate, listen: { host, port: 0 }, options: () => options, clock, log: silentLog };
  const injector = new Injector(deps);
  const port = await injector.open();
  onTestFinished(() => injector.close());
  return port;
}

const reviewOf = (pod: unknown): string => JSON.stringify({ request: { uid: "1", object: pod } });

async function review(port: number, body: string): Promise<{ status: number; text: string }> {
  const request = sendRequest({ host, port, method: "POST", path: "/inject", rejectUnauthorized: false });
  request.setHeader("content-length", Buffer.byteLength(body));
  request.end(body);
  const [response] = await once(request, "response");
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return { status: response.statusCode, text };
}

async function stranger(port: number): Promise<TLSSocket> {
  const socket = connect({ host, port, rejectUnauthorized: false });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

async function send(socket: TLSSocket, text: string | Buffer): Promise<void> {
  if (!socket.destroyed) await new Promise((resolve) => socket.write(text, resolve));
}

const headOf = (bytes: number) => `POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`;

it("holds 8 MiB for all who send reviews that do not end, and answers the API server meanwhile", async () => {
  const port = await anInjector();
  const sockets: TLSSocket[] = [];
  for (let count = 0; count < 40; count++) {
    const socket = await stranger(port);
    sockets.push(socket);
    await send(socket, headOf(2 * mebibyte));
    await send(socket, Buffer.alloc(2 * mebibyte - 1, " "));
  }
  await vi.waitFor(() => expect(sockets.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(4));
  const { status, text } = await review(port, reviewOf(aPod()));
  expect(status).toBe(200);
  expect(JSON.parse(text)).toMatchObject({ response: { allowed: true, patchType: "JSONPatch" } });
});

it("counts a body in small parts by what they cost", async () => {
  const port = await anInjector();
  const sockets = await Promise.all(Array.from({ length: 8 }, () => stranger(port)));
  for (const socket of sockets) {
    socket.setNoDelay(true);
    await send(socket, headOf(2 * mebibyte));
  }
  // Of one byte: each is a record of TLS, and a buffer.
  for (let count = 0; count < 4_000; count++) {
    if (sockets.some(({ closed }) => closed)) break;
    await Promise.all(sockets.map((socket) => send(socket, " ")));
  }
  await vi.waitFor(() => expect(sockets.some(({ closed }) => closed)).toBe(true));
});

it("holds no more of answers that nobody reads", async () => {
  const port = await anInjector();
  const labels = { "nexusd.dev/inject": "true" };
  const env = [{ name: "LARGE", value: "x".repeat(2 * mebibyte) }];
  const pod = { metadata: { name: "pod", labels }, spec: { containers: [{ name: "agent", env }] } };
  const body = reviewOf(pod);
  const sockets: TLSSocket[] = [];
  for (let count = 0; count < 10; count++) {
    const socket = await stranger(port);
    socket.pause();
    sockets.push(socket);
    await send(socket, headOf(Buffer.byteLength(body)));
    await send(socket, body);
  }
  // An answer has 2.8 MiB, of which the system takes a part.
  await vi.waitFor(async () => {
    await Promise.all(sockets.map((socket) => send(socket, "GET")));
    expect(sockets.filter(({ closed }) => !closed).length).toBeLessThan(10);
  });
  expect((await review(port, reviewOf(aPod()))).status).toBe(200);
});

it.each([
  ["a review that is larger than a request of the API server may be", " ".repeat(3 * mebibyte + 1), 413],
  ["objects without end", `[${"{},".repeat(500_000)}1]`, 413],
  ["depth without end", "[".repeat(1_000_000), 413],
  ["depth that the parser takes", `{"request":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, 400],
  ["no JSON", "{", 400],
  ["a review without a request", "{}", 400],
  ["a review without a pod", '{"request":{"uid":"1"}}', 400],
  ["nothing", "", 400],
  ["a pod without containers", reviewOf({ metadata: {}, spec: {} }), 400],
])("answers %s with a status, and the next one as ever", async (_, body, status) => {
  const port = await anInjector();
  expect((await review(port, body)).status).toBe(status);
  expect((await review(port, reviewOf(aPod()))).status).toBe(200);
});

it("judges a pod with many containers in a moment", async () => {
  const containers = Array.from({ length: 20_000 }, (_, index) => ({ name: `c${index}` }));
  const annotations = { "nexusd.dev/containers": containers.map(({ name }) => name).join() };
  const port = await anInjector();
  expect((await review(port, reviewOf(aPod({ annotations, spec: { containers } })))).status).toBe(200);
}, 10_000);

it("is alive and ready for the kubelet", async () => {
  const port = await anInjector();
  for (const path of ["/readyz", "/livez", "/inject", "/other"]) {
    const request = sendRequest({ host, port, path, rejectUnauthorized: false }).end();
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(path.endsWith("z") ? 200 : 404);
  }
});
