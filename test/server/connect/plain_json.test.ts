import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import type { Message } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import { TokenServiceGetTokenRequestSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import type { BoundMethod, BoundService, CallContext } from "../../../src/service/pipeline/bound_service.js";
import { CachedRequests } from "../../../src/service/pipeline/cached_requests.js";
import { codes, WireError } from "../../../src/service/pipeline/wire_error.js";
import { apiKey } from "../fake_services.js";
import { connectTo, getTokenPath, json, openListener } from "../http_listener_fixture.js";

const key = { "x-api-key": apiKey };

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly chunked?: boolean;
}

async function answerOf(
  port: number,
  { method = "POST", path = getTokenPath, headers, body = "", chunked }: Sent,
) {
  const length =
    chunked === true ? { "transfer-encoding": "chunked" } : { "content-length": Buffer.byteLength(body) };
  const request = httpRequest({ port, path, method, headers: { ...json, ...key, ...length, ...headers } });
  request.end(body);
  const [response] = (await once(request, "response")) as [
    NodeJS.ReadableStream & { statusCode: number; headers: IncomingHttpHeaders },
  ];
  const { date: _, ...fields } = response.headers;
  return { status: response.statusCode, fields, body: await text(response) };
}

/** `GetToken` as one that agents repeat; its id says what becomes of it. */
function repeated(services: readonly BoundService[]): { services: BoundService[]; decoded: () => number } {
  const known = new CachedRequests(TokenServiceGetTokenRequestSchema);
  const decodeJson = vi.fn((bytes: Buffer) => known.decodeJson(bytes));
  const plain = (method: BoundMethod): BoundMethod =>
    method.kind === "unary" && method.descriptor.localName === "getToken"
      ? { ...method, decodeJson }
      : method;
  return {
    services: services.map((service) => ({ ...service, methods: service.methods.map(plain) })),
    decoded: () => decodeJson.mock.calls.length,
  };
}

/** `GetToken` that fails as `RefreshToken` of the fake does. */
function failing(services: readonly BoundService[]): BoundService[] {
  return services.map((service) => ({
    ...service,
    methods: service.methods.map((method): BoundMethod => {
      if (method.kind !== "unary" || method.descriptor.localName !== "getToken") return method;
      return {
        ...method,
        call: (request: Message, context: CallContext) => {
          const { connectionId } = request as unknown as { connectionId: string };
          if (connectionId === "crash") throw new Error("the secret is 4711");
          if (connectionId === "late") return Promise.reject(new WireError(codes.not_found, "no ☃, 100%"));
          if (connectionId === "denied") throw new WireError(codes.permission_denied, "no");
          return method.call(request, context);
        },
      };
    }),
  }));
}

/** Two listeners that differ in whether calls may be plain. */
async function pair() {
  const { services } = (await openListener()).fake;
  const plain = repeated(failing(services));
  const byLibrary = await openListener({ services: failing(services) });
  const own = await openListener({ services: plain.services });
  return { own, byLibrary, decoded: plain.decoded };
}

const asked = (id: string): string => JSON.stringify({ connectionId: id });

test.each<[string, Sent, boolean]>([
  ["a plain call", { body: asked("a") }, true],
  ["the name as in the proto", { body: '{"connection_id":"a"}' }, true],
  ["a field that is not known", { body: '{"connectionId":"a","more":{"x":[1]}}' }, true],
  ["two members of one name", { body: '{"connectionId":"a","connectionId":"b"}' }, true],
  ["a mark of byte order", { body: `\ufeff${asked("a")}` }, true],
  ["bytes that are no UTF-8", { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }, true],
  ["a member called __proto__", { body: '{"__proto__":{"connectionId":"b"}}' }, true],
  ["no JSON", { body: "{" }, true],
  ["a value of another type", { body: '{"connectionId":{"secret":"4711"}}' }, true],
  ["a list", { body: "[]" }, true],
  ["a version of the protocol", { body: asked("a"), headers: { "connect-protocol-version": "1" } }, true],
  ["no body", { body: "" }, false],
  [
    "a type with a charset",
    { body: asked("a"), headers: { "content-type": "application/json; charset=utf-8" } },
    false,
  ],
  ["another type", { body: asked("a"), headers: { "content-type": "text/plain" } }, false],
  ["a deadline", { body: asked("a"), headers: { "connect-timeout-ms": "5000" } }, false],
  ["a deadline that is none", { body: asked("a"), headers: { "connect-timeout-ms": "soon" } }, false],
  ["compression", { body: gzipSync(asked("a")), headers: { "content-encoding": "gzip" } }, false],
  ["pieces", { body: asked("a"), chunked: true }, false],
  ["a query", { body: asked("a"), path: `${getTokenPath}?x=1` }, false],
  ["GET", { method: "GET" }, false],
  ["a long id", { body: asked("x".repeat(2_000)) }, false],
  ["a body that is too long", { body: asked("x".repeat(1_100_000)) }, false],
  ["no key", { body: asked("a"), headers: { "x-api-key": "" } }, false],
  ["another key", { body: asked("a"), headers: { "x-api-key": "guess" } }, false],
])("%s is answered as the library answers it", async (_name, sent, isPlain) => {
  const { own, byLibrary, decoded } = await pair();
  const answer = await answerOf(own.port, sent);
  expect(answer).toEqual(await answerOf(byLibrary.port, sent));
  expect(await answerOf(own.port, sent)).toEqual(answer);
  expect(decoded()).toBe(isPlain ? 2 : 0);
  expect(answer.body).not.toContain("4711");
});

test.each(["denied", "late", "crash"])("a call that ends in an error: %s", async (id) => {
  const { own, byLibrary } = await pair();
  const mine = await answerOf(own.port, { body: asked(id) });
  const theirs = await answerOf(byLibrary.port, { body: asked(id) });
  expect(mine).toMatchObject({ status: theirs.status, body: theirs.body });
  for (const field of ["content-type", "www-authenticate"]) {
    expect(mine.fields[field]).toBe(theirs.fields[field]);
  }
  expect(mine.body).not.toContain("4711");
  const reports = id === "crash" ? [{ where: "nexus.v1.TokenService/GetToken" }] : [];
  expect(own.fake.unexpected).toMatchObject(reports);
});

test("a body in many packets, and the next call on the same connection", async () => {
  const { own } = await pair();
  const socket = connectTo(own.port);
  const head = `POST ${getTokenPath} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nx-api-key: ${apiKey}\r\n`;
  const body = asked("abc");
  let got = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    got += chunk;
  });
  for (let call = 1; call <= 2; call++) {
    socket.write(`${head}content-length: ${body.length}\r\n\r\n`);
    for (const byte of body) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => got.split('"abc"')).toHaveLength(call + 1);
  }
});

test("the signal of a call that is waited for aborts when its caller leaves", async () => {
  const base = await openListener();
  const { services } = repeated(base.fake.services);
  const { port } = await openListener({ services });
  const started = base.fake.next("started");
  const aborted = base.fake.next("aborted");
  const request = httpRequest({ port, path: getTokenPath, method: "POST", headers: { ...json, ...key } });
  request.on("error", () => undefined);
  onTestFinished(() => base.fake.release());
  request.setHeader("content-length", asked("hang").length);
  request.end(asked("hang"));
  await started;
  request.destroy();
  await aborted;
});
