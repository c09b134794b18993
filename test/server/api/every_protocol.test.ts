import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { Reflection } from "../../../src/ext/reflection/reflection.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../../src/gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { StandardServices } from "../../../src/server/standard/standard_services.js";
import { FakeServices } from "../fake_services.js";
import { failure, openListener, transports, withKey } from "../http_listener_fixture.js";

/** A listener with the standard services, too. */
async function open(name: "grpc" | "http") {
  const fake = new FakeServices();
  const standard = new StandardServices(fake.services, [(shown) => new Reflection(shown)]);
  const services = [...fake.services, ...standard.services];
  return { ...(await openListener({ name, services, onUnexpected: fake.onUnexpected })), standard, fake };
}

/** A stream of requests by hand. */
function callOf(base: string, path: string): ClientHttp2Stream {
  const session = connectHttp2(base);
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  const stream = session.request({ ...headers, ":path": path });
  stream.on("error", () => undefined);
  return stream.resume();
}

const reflection = `/${ServerReflection.typeName}/ServerReflectionInfo`;

for (const name of ["grpc", "http"] as const) {
  test.each(transports)(`the ${name} listener speaks %s`, async (_protocol, transport) => {
    const { base } = await open(name);
    const client = createClient(TokenService, transport(base, [withKey]));
    expect((await client.getToken({ connectionId: "a" })).token?.grantedScopes).toEqual(["a", "admin"]);
    const ids: unknown[] = [];
    for await (const { event } of client.watchTokens({})) ids.push(event.value);
    expect(ids).toHaveLength(2);
    const health = createClient(Health, transport(base, []));
    const { status } = await health.check({ service: TokenService.typeName });
    expect(status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    expect(Object.keys((await health.list({})).statuses)).toContain(TokenService.typeName);
    const stranger = createClient(TokenService, transport(base, []));
    expect((await failure(stranger.getToken({ connectionId: "a" }))).code).toBe(Code.Unauthenticated);
  });
}

test("streams of requests come by Connect too, over HTTP/2", async () => {
  const { base } = await open("grpc");
  const client = createClient(ServerReflection, createConnectTransport({ baseUrl: base, httpVersion: "2" }));
  const request = create(ServerReflectionRequestSchema, {
    messageRequest: { case: "listServices", value: "" },
  });
  async function* requests() {
    yield request;
    yield request;
  }
  const cases: unknown[] = [];
  for await (const { messageResponse } of client.serverReflectionInfo(requests()))
    cases.push(messageResponse.case);
  expect(cases).toEqual(["listServicesResponse", "listServicesResponse"]);
});

test("who goes on sending when the answer is over is told that nobody wants it, and holds no drain up", async () => {
  const { base, standard, listener } = await open("grpc");
  const stream = callOf(base, reflection);
  const answered = once(stream, "data");
  const listed = create(ServerReflectionRequestSchema, {
    messageRequest: { case: "listServices", value: "" },
  });
  stream.write(encodeEnvelope(0, toBinary(ServerReflectionRequestSchema, listed)));
  await answered;
  const trailers = once(stream, "trailers");
  standard.close();
  const [fields] = (await trailers) as [Record<string, string>];
  expect(fields["grpc-status"]).toBe("0");
  await once(stream, "close");
  expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  await listener.close(new AbortController().signal);
});

test("a malformed message in a stream of requests is INVALID_ARGUMENT, one that is not whole INTERNAL", async () => {
  const { base, fake } = await open("grpc");
  const statusOf = async (body: Buffer): Promise<string | undefined> => {
    const stream = callOf(base, reflection);
    const said = new Promise<string | undefined>((resolve) => {
      const read = (fields: Record<string, unknown>) => {
        if (fields["grpc-status"] !== undefined) resolve(String(fields["grpc-status"]));
      };
      stream.on("response", read);
      stream.on("trailers", read);
    });
    stream.end(body);
    return await said;
  };
  expect(await statusOf(Buffer.from([0, 0, 0, 0, 3, 0x1a, 0x7f, 0x61]))).toBe(String(Code.InvalidArgument));
  expect(await statusOf(Buffer.from([0, 0, 0, 0, 9, 0x1a]))).toBe(String(Code.Internal));
  expect(await statusOf(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).toBe(String(Code.ResourceExhausted));
  expect(fake.unexpected).toEqual([]);
});

test("an RPC that is not there is UNIMPLEMENTED in the words of each protocol", async () => {
  const { base } = await open("http");
  const post = (headers: Record<string, string>) =>
    fetch(`${base}/nexus.v1.TokenService/NoSuch`, { method: "POST", headers, body: "" });
  const connect = await post({ "content-type": "application/proto" });
  expect([connect.status, await connect.json()]).toMatchObject([404, { code: "unimplemented" }]);
  const web = await post({ "content-type": "application/grpc-web+proto" });
  expect([web.status, web.headers.get("grpc-status")]).toEqual([200, String(Code.Unimplemented)]);
  const plain = await post({ "content-type": "application/json" });
  expect([plain.status, await plain.json()]).toMatchObject([404, { code: "not_found" }]);
});
