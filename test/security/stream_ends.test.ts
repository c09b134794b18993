import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { expect, onTestFinished, test } from "vitest";
import { WatchTokensRequestSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { LimitedWorld } from "./limited_world.js";

const maxStreams = 20;

const listeners = {
  // Served without grpc-js, by grpc-js, and by connect-node.
  plain: { "content-type": "application/grpc" },
  "grpc-js": { "content-type": "application/grpc", "grpc-encoding": "gzip" },
  http: { "content-type": "application/grpc" },
};

/** How the client of a stream ends it. */
const ends: Readonly<Record<string, (stream: ClientHttp2Stream, request: Buffer) => Promise<void> | void>> = {
  "before its request": (stream) => stream.close(constants.NGHTTP2_CANCEL),
  "in the middle of its request": (stream, request) => {
    stream.write(request.subarray(0, 3));
    stream.close(constants.NGHTTP2_CANCEL);
  },
  "in the turn of its request": (stream, request) => {
    stream.end(request);
    stream.close(constants.NGHTTP2_CANCEL);
  },
  "while its first reads are put on record": async (stream, request) => {
    stream.end(request);
    await turn();
    await turn();
    stream.close(constants.NGHTTP2_CANCEL);
  },
  "at its first message": (stream, request) => {
    stream.once("data", () => stream.close(constants.NGHTTP2_CANCEL));
    stream.end(request);
  },
  "with its connection": async (stream, request) => {
    stream.end(request);
    await turn();
    stream.session?.destroy();
  },
};

const requestBytes = (): Buffer =>
  Buffer.from(encodeEnvelope(0, toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema))));

test.each(Object.entries(listeners))(
  "%s: a stream gives its place back once, however it ends",
  async (listener, type) => {
    const world = await LimitedWorld.make({ NEXUS_MAX_STREAMS_PER_PRINCIPAL: String(maxStreams) });
    for (let index = 0; index < 5; index++) await world.import();
    const sessions: ClientHttp2Session[] = [];
    onTestFinished(() => {
      for (const session of sessions) session.destroy();
    });
    const newSession = (): ClientHttp2Session => {
      const session =
        listener === "http"
          ? connect(world.place.httpUrl)
          : connect("http://localhost", { createConnection: () => connectSocket(world.place.socket) });
      session.on("error", () => undefined);
      sessions.push(session);
      return session;
    };
    const open = (session: ClientHttp2Session): ClientHttp2Stream => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/nexus.v1.TokenService/WatchTokens",
        te: "trailers",
        "x-api-key": world.place.apiKey,
        ...type,
      });
      stream.on("error", () => undefined);
      return stream;
    };
    const request = requestBytes();
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        Object.values(ends).map(async (end) => {
          const stream = open(newSession());
          const closed = new Promise<void>((resolve) => stream.once("close", resolve));
          stream.resume();
          await end(stream, request);
          await closed;
        }),
      );
      await world.import();
    }
    const subscribers = async (): Promise<string | undefined> => {
      const metrics = await (await fetch(`${world.place.opsUrl}/metrics`)).text();
      return /^nexus_watch_subscribers (\d+)$/m.exec(metrics)?.[1];
    };
    await expect.poll(subscribers).toBe("0");

    const session = newSession();
    const statuses: string[] = [];
    const answered = Array.from({ length: maxStreams + 1 }, () => {
      const stream = open(session);
      stream.once("data", () => statuses.push("open"));
      stream.once(
        "response",
        (headers) => headers["grpc-status"] && statuses.push(`${headers["grpc-status"]}`),
      );
      stream.once("trailers", (trailers) => statuses.push(`${trailers["grpc-status"]}`));
      stream.end(request);
      return stream;
    });
    await expect.poll(() => statuses.length).toBe(answered.length);
    expect(statuses.filter((status) => status === "open")).toHaveLength(maxStreams);
    expect(statuses.filter((status) => status === "8")).toHaveLength(1);
  },
);

test("a status that is not read is waited for no longer than a message", async () => {
  const world = await LimitedWorld.make({ NEXUS_STREAM_READ_TIMEOUT_SECONDS: "20" });
  await world.import();
  const session = connect("http://localhost", {
    createConnection: () => connectSocket(world.place.socket),
    settings: { initialWindowSize: 0 },
  });
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/nexus.v1.TokenService/WatchTokens",
    te: "trailers",
    "grpc-timeout": "1S",
    ...listeners.plain,
  });
  stream.on("error", () => undefined);
  stream.end(requestBytes());
  await new Promise((resolve) => stream.once("response", resolve));
  // Its deadline passes while nothing of it is read.
  world.clock.advance(1_000);
  expect(stream.closed).toBe(false);
  world.clock.advance(20_000);
  await expect.poll(() => stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
});
