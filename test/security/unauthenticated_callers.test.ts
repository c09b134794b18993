import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { edgePolicy } from "../../src/model/edge_policy.js";
import { defaultLimits } from "../../src/model/limits.js";
import { answerClientError } from "../../src/server/listen/listener_limits.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { freePort } from "../free_port.js";
import { LimitedWorld, RawSocket } from "./limited_world.js";

const half = "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ";

describe("callers who never showed a credential", () => {
  test("keep no place by half a connection: a second after the last answer it is gone", async () => {
    const clock = new ManualClock(0);
    const bounds = { limits: defaultLimits, clock, onFull: () => undefined };
    const accepted: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.push(socket);
      answerClientError(new Error("malformed"), socket, bounds, "text");
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    // It never closes its own half.
    const peer = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    onTestFinished(() => void peer.destroy());
    await once(peer.resume(), "end");
    expect(accepted.map(({ destroyed }) => destroyed)).toEqual([false]);
    clock.advance(1_000);
    expect(accepted.map(({ destroyed }) => destroyed)).toEqual([true]);
  });

  test("do not shut out probes and callers, by as many half-sent requests as there are places", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_CONNECTIONS: "20" });
    for (const url of [world.place.opsUrl, world.place.httpUrl]) {
      const held = await Promise.all(Array.from({ length: 40 }, () => new RawSocket(url).connected()));
      for (const { socket } of held) socket.write(half);
      await held[0]?.closed;
      for (let i = 0; i < 5; i++) {
        const late = await new RawSocket(url).connected();
        late.socket.write("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(await late.until(/HTTP\/1\.1 \d+/)).toMatch(url === world.place.opsUrl ? /200 OK/ : /404/);
      }
    }
  });

  test("make room for others; whoever showed one keeps its connection", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_CONNECTIONS: "4" });
    const url = world.place.httpUrl;
    const request = `GET /v1/audit?limit=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: ${world.place.apiKey}\r\n\r\n`;
    const known = await new RawSocket(url).connected();
    known.socket.write(request);
    await known.until(/200 OK/);
    const unauthenticated: RawSocket[] = [];
    for (let i = 0; i < 12; i++) {
      const one = await new RawSocket(url).connected();
      one.socket.write(half);
      unauthenticated.push(one);
    }
    for (const one of unauthenticated.slice(0, 9)) await one.closed;
    known.received = "";
    known.socket.write(request);
    expect(await known.until(/200 OK/)).toContain("200 OK");
  });

  test("have their idle HTTP/2 sessions closed within a minute, on http and grpc", async () => {
    const { world, grpcPort } = await worldWithPort();
    for (const url of [world.place.httpUrl, `http://127.0.0.1:${grpcPort}`]) {
      const session = await sessionTo(url);
      for (let i = 0; i < 8 && !session.destroyed; i++) {
        world.clock.advance(5_000);
        // Time to answer the pings of the daemon.
        await new Promise<void>((resolve) => {
          if (!session.ping(() => resolve())) resolve();
        });
      }
      await expect.poll(() => session.destroyed).toBe(true);
    }
  });

  test("have an answer reset that they do not read, and few of them at a time over all connections", async () => {
    const world = await LimitedWorld.make({});
    const sessions = await Promise.all(Array.from({ length: 5 }, () => sessionTo(world.place.httpUrl, 0)));
    const streams = sessions.flatMap((session) =>
      Array.from({ length: 60 }, () => streamOf(session, { ":path": "/openapi.json" })),
    );
    // A session none of whose streams is answered is closed with all of them.
    const reset = (): number =>
      streams.filter(({ rstCode, closed, session }) => closed && (rstCode === calm || !session)).length;
    await expect.poll(reset).toBe(streams.length - 32);
    world.clock.advance(edgePolicy.unauthenticatedStreams.readMs);
    await expect.poll(reset).toBe(streams.length);
  });

  test("have refused calls reset whose answers they do not take, on http and grpc", async () => {
    const { world, grpcPort } = await worldWithPort();
    for (const url of [world.place.httpUrl, `http://127.0.0.1:${grpcPort}`]) {
      const session = await sessionTo(url, 0);
      const type = url === world.place.httpUrl ? "application/json" : "application/grpc";
      // Its message never ends.
      const stream = session.request({
        ":method": "POST",
        ":path": "/nexus.v1.TokenService/GetToken",
        "content-type": type,
      });
      stream.on("error", () => undefined);
      await new Promise((resolve) => stream.once("response", resolve));
      world.clock.advance(edgePolicy.unauthenticatedStreams.readMs);
      await expect.poll(() => stream.closed).toBe(true);
      expect(stream.rstCode).toBe(calm);
    }
  });
});

test("a caller with a key has a unary answer reset that it does not read, over HTTP/2 on http", async () => {
  const world = await LimitedWorld.make({});
  const session = await sessionTo(world.place.httpUrl, 0);
  const stream = streamOf(session, { ":path": "/v1/providers", "x-api-key": world.place.apiKey });
  await once(stream, "response");
  world.clock.advance(edgePolicy.unauthenticatedStreams.readMs);
  expect(stream.closed).toBe(false);
  for (let i = 0; i < 6; i++) {
    world.clock.advance(defaultLimits.streamReadTimeoutMs / 4);
    // The daemon's own pings are answered before.
    await new Promise((resolve) => session.ping(resolve));
  }
  await expect.poll(() => stream.closed).toBe(true);
  expect(stream.rstCode).toBe(calm);
});

/** With gRPC on a TCP port, where a connection proves nothing by itself. */
async function worldWithPort(): Promise<{ readonly world: LimitedWorld; readonly grpcPort: number }> {
  const dataDir = mkdtempSync(join(tmpdir(), "nexus-unauthenticated callers-"));
  const grpcPort = await freePort();
  const listen = `unix:${join(dataDir, "nexus.sock")},127.0.0.1:${grpcPort}`;
  const world = await LimitedWorld.make({ NEXUS_DATA_DIR: dataDir, NEXUS_GRPC_LISTEN: listen });
  return { world, grpcPort };
}

const calm = constants.NGHTTP2_ENHANCE_YOUR_CALM;

async function sessionTo(url: string, initialWindowSize?: number): Promise<ClientHttp2Session> {
  const settings = initialWindowSize === undefined ? {} : { initialWindowSize };
  const session = connectHttp2(url, { settings });
  onTestFinished(() => void session.destroy());
  session.on("error", () => undefined);
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  return session;
}

function streamOf(session: ClientHttp2Session, headers: Record<string, string>): ClientHttp2Stream {
  const stream = session.request(headers);
  stream.on("error", () => undefined);
  return stream;
}
