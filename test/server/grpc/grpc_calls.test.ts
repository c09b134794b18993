import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants } from "node:http2";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { SystemClock } from "../../../src/runtime/clock.js";
import { ApiListener } from "../../../src/server/api/api_listener.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { apiKey, authenticate, FakeServices } from "../fake_services.js";
import { errorOf, GrpcTestClient, rawCall } from "../grpc_client.js";
import { loopback, opened, portOf } from "../temporary.js";

const { getToken, refreshToken } = TokenService.method;

async function openListener() {
  const fake = new FakeServices();
  const path = join(temporaryFolder(), "nexus.sock");
  const [overSocket, overTcp] = [{ kind: "unix", path } as const, loopback].map(
    (listen) =>
      new ApiListener({
        ...{ name: "grpc", listen, setting: "NEXUS_GRPC_LISTEN", clock: new SystemClock() },
        services: fake.services,
        authenticate,
        onUnexpected: fake.onUnexpected,
      }),
  ) as [ApiListener, ApiListener];
  await opened(overSocket);
  await opened(overTcp);
  const close = (force: AbortSignal) => Promise.all([overSocket.close(force), overTcp.close(force)]);
  const client = (target: string, metadata = {}, options = {}) => {
    const made = new GrpcTestClient(target, metadata, options);
    onTestFinished(() => made.close());
    return made;
  };
  const tcp = `127.0.0.1:${portOf(overTcp)}`;
  return { fake, close, path, unix: `unix:${path}`, tcp, client };
}

const failure = (work: Promise<unknown>): Promise<ServiceError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: ServiceError) => error,
  );

describe("who acts", () => {
  test("the owner over the Unix socket, without a key", async () => {
    const { client, unix } = await openListener();
    const { token } = await client(unix).call(getToken, { connectionId: "a" });
    expect(token?.grantedScopes).toEqual(["a", "owner"]);
  });

  test.each([
    ["authorization", `Bearer ${apiKey}`],
    ["authorization", `bEARER  ${apiKey}`],
    ["x-api-key", apiKey],
  ])("over TCP who shows the key in %s: %s", async (name, value) => {
    const { client, tcp } = await openListener();
    const { token } = await client(tcp, { [name]: value }).call(getToken, { connectionId: "a" });
    expect(token?.grantedScopes).toEqual(["a", "admin"]);
  });

  test.each([
    {},
    { authorization: "Bearer wrong" },
    { authorization: apiKey },
    { authorization: `Basic ${apiKey}` },
    { authorization: "Bearer" },
    { "x-api-key": `${apiKey} x` },
  ])("over TCP nobody with %j", async (metadata) => {
    const { client, tcp, fake } = await openListener();
    const caller = client(tcp, metadata);
    const error = await failure(caller.call(getToken, { connectionId: "a" }));
    expect(error).toMatchObject({
      code: status.UNAUTHENTICATED,
      details: expect.stringContaining("x-api-key"),
    });
    expect((await errorOf(caller.watch(""))).code).toBe(status.UNAUTHENTICATED);
    expect(fake.unexpected).toEqual([]);
  });
});

describe("errors", () => {
  test("a wire error keeps code, message and details", async () => {
    const { client, unix, fake } = await openListener();
    const error = await failure(client(unix).call(refreshToken, { connectionId: "fail" }));
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: "consent ☃ again, 100%" });
    const packed = fromBinary(StatusSchema, error.metadata.get("grpc-status-details-bin")[0] as Buffer);
    expect(packed).toMatchObject({ code: 9, message: "consent ☃ again, 100%" });
    const [detail] = packed.details;
    expect(detail && anyUnpack(detail, ErrorInfoSchema)).toMatchObject({ reason: "ATTENTION_REQUIRED" });
    expect(fake.unexpected).toEqual([]);
  });

  test("half a surrogate pair in a message does not end the process", async () => {
    const { client, unix } = await openListener();
    const error = await failure(client(unix).call(refreshToken, { connectionId: "half" }));
    expect(error).toMatchObject({ code: status.NOT_FOUND, details: "half a pair \ufffd" });
  });
});

test("a reader that does not read holds the source back, and frees it when it leaves", async () => {
  const { client, unix, path, fake } = await openListener();
  // Not grpc-js: its client goes on reading into its own buffer.
  const stream = rawCall(path, "/nexus.v1.TokenService/WatchTokens", { userId: "flood" });
  stream.pause();
  await once(stream, "response");
  const other = client(unix);
  for (let round = 0; round < 50; round++) await other.call(getToken, { connectionId: "a" });
  // What the first window, the stream's own buffer and one message at the source hold.
  expect(fake.flooded).toBeLessThan(20);
  const held = fake.flooded;
  for (let round = 0; round < 50; round++) await other.call(getToken, { connectionId: "a" });
  expect(fake.flooded).toBe(held);
  const returned = fake.next("returned");
  stream.close(constants.NGHTTP2_CANCEL);
  await returned;
});

describe("closing", () => {
  test("lets a running call end, takes no new ones, removes the socket", async () => {
    const { client, unix, path, close, fake } = await openListener();
    const started = fake.next("started");
    const running = client(unix).call(getToken, { connectionId: "hang" });
    await started;
    const idle = client(unix);
    await idle.call(getToken, { connectionId: "a" });
    const closed = close(new AbortController().signal);
    expect((await failure(idle.call(getToken, { connectionId: "a" }))).code).toBe(status.UNAVAILABLE);
    expect((await failure(client(unix).call(getToken, { connectionId: "a" }))).code).toBe(status.UNAVAILABLE);
    fake.release();
    expect((await running).token?.grantedScopes).toEqual(["hang", "owner"]);
    await closed;
    expect(existsSync(path)).toBe(false);
  });

  test("cuts off what is left when it is told to", async () => {
    const { client, unix, tcp, close, fake } = await openListener();
    const running = [client(unix).watch("hang"), client(tcp, { "x-api-key": apiKey }).watch("hang")];
    const failed = running.map(errorOf);
    await Promise.all(running.map((stream) => once(stream, "data")));
    const force = new AbortController();
    const closed = close(force.signal);
    const aborted = fake.next("aborted");
    force.abort();
    await closed;
    await aborted;
    for (const error of await Promise.all(failed)) {
      expect([status.CANCELLED, status.UNAVAILABLE]).toContain(error.code);
    }
    expect(fake.unexpected).toEqual([]);
  });
});

/**
 * grpc-go, grpc-js and .NET; Connect; tonic; grpc-core (C++, Python, Ruby), older and newer; and two that only HTTP/1.1 URLs refuse.
 * Not the bare path that grpc-java sends unless told otherwise: nghttp2 refuses it before this house sees it.
 */
const authorities = [
  ...["localhost", "localhost:80", "tonic", "%2Ftmp%2Fnexus.sock", "tmp%2Fnexus.sock"],
  ...["[::]:50051", "nexus.sock", ":::"],
];
test.each(authorities)("the :authority %j is welcome over a Unix socket", async (authority) => {
  const { path } = await openListener();
  const stream = rawCall(path, "/nexus.v1.TokenService/GetToken", { connectionId: "a" }, authority);
  stream.resume();
  const [trailers] = (await once(stream, "trailers")) as [Record<string, string>];
  expect(trailers["grpc-status"]).toBe("0");
});

test("resets that overtake their requests do not end the process", async () => {
  const { path, client, unix } = await openListener();
  for (const method of ["/nexus.v1.TokenService/GetToken", "/no.such/Method"]) {
    const stream = rawCall(path, method, { connectionId: "a" });
    stream.on("error", () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, "close");
  }
  expect((await client(unix).call(getToken, { connectionId: "a" })).token).toBeDefined();
});
