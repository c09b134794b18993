import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import type { JsonValue } from "../../../src/model/json.js";
import { restRoutes } from "../../../src/server/rest/rest_routes.js";
import { answer, type RestRoute } from "../../../src/server/rest/route.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { apiKey, FakeServices } from "../fake_services.js";
import { connectTo, openListener } from "../http_listener_fixture.js";
import { restDefaults } from "../rest_defaults.js";

const headers = { "x-api-key": apiKey };
const basic = {
  operationId: "echo",
  summary: "Answers what it was asked",
  tag: "document",
  success: { status: 200, schema: "OpenApiDocument" },
  errors: [],
} as const;

const echo: RestRoute = {
  ...basic,
  method: "POST",
  path: "/v1/echo/{id}",
  handle: async ({ params, query, body }) => answer({ ...params, query: query.toString(), body }),
};
const read: RestRoute = { ...echo, method: "GET" };
const spelled: RestRoute = {
  ...echo,
  method: "GET",
  path: "/v1/echo/all",
  handle: async () => answer("all"),
};
const crash: RestRoute = {
  ...basic,
  method: "GET",
  path: "/crash",
  handle: () => Promise.reject(new Error("the secret is 4711")),
};

async function openRest(table: readonly RestRoute[] = [echo, read, spelled, crash]) {
  const unexpected: { error: unknown; where: string }[] = [];
  const opened = await openListener({
    routes: restRoutes({
      ...restDefaults,
      services: [],
      table,
      onUnexpected: (error, where) => void unexpected.push({ error, where }),
    }),
  });
  const send = async (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
    const response = await fetch(opened.base + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    return { response, status: response.status, body: (text === "" ? "" : JSON.parse(text)) as JsonValue };
  };
  return { ...opened, unexpected, send };
}

describe("a path", () => {
  test("is decoded, has no trailing slash that counts, and what is spelled out goes first", async () => {
    const { send } = await openRest();
    expect((await send("GET", "/v1/echo/a%20b%2Fc//?x=1&y=a?b")).body).toEqual({
      id: "a b/c",
      query: "x=1&y=a%3Fb",
      body: {},
    });
    expect((await send("GET", "/v1/echo/all")).body).toBe("all");
    expect((await send("POST", "/v1/echo/all")).status).toBe(405);
  });

  test("that is badly encoded is a bad request, one that is not served is not found", async () => {
    const { send } = await openRest();
    expect(await send("GET", "/v1/echo/%ff")).toMatchObject({ status: 400, body: { error: "bad_request" } });
    for (const path of ["/v1/echo", "/v1/echo/", "/v1/echo/a/b", "/v1//echo/a", "/", "/V1/echo/a"]) {
      expect(await send("GET", path), path).toMatchObject({ status: 404, body: { error: "not_found" } });
    }
  });
});

describe("a method", () => {
  test("HEAD is GET without a body", async () => {
    const { send } = await openRest();
    const { response, body } = await send("HEAD", "/v1/echo/a");
    expect([response.status, body]).toEqual([200, ""]);
    expect(Number(response.headers.get("content-length"))).toBeGreaterThan(10);
  });

  test("OPTIONS says which there are, 405 too", async () => {
    const { send, base } = await openRest();
    const options = await fetch(`${base}/v1/echo/a`, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, GET, HEAD, OPTIONS"]);
    const { response, body } = await send("DELETE", "/v1/echo/a");
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST, GET, HEAD, OPTIONS"]);
    expect(body).toMatchObject({ error: "method_not_allowed" });
  });
});

describe("a body", () => {
  test.each([
    ["no JSON", "{", "invalid_json"],
    ["a list", "[]", "invalid_json"],
    ["null", "null", "invalid_json"],
    ["two documents", "{}{}", "invalid_json"],
    ["no UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "invalid_json"],
    ["a tower", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "invalid_json"],
  ])("of %s is refused", async (_name, sent, error) => {
    const { send, unexpected } = await openRest();
    expect(await send("POST", "/v1/echo/a", sent)).toMatchObject({ status: 400, body: { error } });
    expect(unexpected).toEqual([]);
  });

  test("may be missing, and of any content type", async () => {
    const { send, base } = await openRest();
    expect((await send("POST", "/v1/echo/a")).body).toMatchObject({ body: {} });
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/json; charset=utf-8",
    ]) {
      const response = await fetch(`${base}/v1/echo/a`, {
        method: "POST",
        headers: { ...headers, "content-type": type },
        body: '{"x":"\u2603","constructor":{"y":1}}',
      });
      expect(await response.text(), type).toContain('"body":{"x":"\u2603","constructor":{"y":1}}');
    }
  });

  test("of more than 1 MiB is too large, whether it says so or not", async () => {
    const { send, base } = await openRest();
    const most = JSON.stringify({ x: "x".repeat(1_048_576 - 8) });
    expect(most.length).toBe(1_048_576);
    expect((await send("POST", "/v1/echo/a", most)).status).toBe(200);
    expect(await send("POST", "/v1/echo/a", `${most} `)).toMatchObject({
      status: 413,
      body: { error: "body_too_large" },
    });
    const chunked = await fetch(`${base}/v1/echo/a`, {
      method: "POST",
      headers,
      body: new Blob([most, most]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(chunked.status).toBe(413);
  });

  test("that never arrives is nobody's error", async () => {
    const { port, unexpected } = await openRest();
    const socket = connectTo(port);
    socket.write(
      `POST /v1/echo/a HTTP/1.1\r\nhost: x\r\nx-api-key: ${apiKey}\r\ncontent-length: 100\r\n\r\n{`,
    );
    socket.end();
    socket.resume();
    await once(socket, "close");
    expect(unexpected).toEqual([]);
  });
});

test("without the key: 401 in the contract's form, before anything is read", async () => {
  const { base } = await openRest();
  for (const [method, path] of [
    ["POST", "/v1/echo/a"],
    ["DELETE", "/v1/echo/a"],
    ["GET", "/v1/echo/%ff"],
  ] as const) {
    const response = await fetch(base + path, { method, ...(method === "POST" ? { body: "{" } : {}) });
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(await response.json()).toEqual({
      error: "unauthenticated",
      code: "unauthenticated",
      message: expect.any(String),
    });
  }
});

test("an error of ours is a 500 that says nothing, and is reported by its path", async () => {
  const { send, unexpected } = await openRest();
  const { status, body } = await send("GET", "/crash?secret=1");
  expect([status, body]).toEqual([500, { error: "internal", code: "internal", message: "internal error" }]);
  expect(unexpected).toMatchObject([{ where: "/crash" }]);
});

test("an answer is JSON that nobody keeps or guesses about", async () => {
  const { response } = await (await openRest()).send("GET", "/v1/echo/a");
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
});

test("a caller that leaves ends its call, and nothing is reported", async () => {
  let started = (): void => undefined;
  const running = new Promise<void>((resolve) => {
    started = resolve;
  });
  const hang: RestRoute = {
    ...crash,
    handle: () => {
      started();
      return new Promise(() => undefined);
    },
  };
  const { base, unexpected, listener } = await openRest([hang]);
  const leave = new AbortController();
  const call = fetch(`${base}/crash`, { headers, signal: leave.signal }).catch(() => "left");
  await running;
  leave.abort();
  expect(await call).toBe("left");
  await listener.close(AbortSignal.abort());
  expect(unexpected).toEqual([]);
});

test("the signal of a call under way aborts when its caller leaves", async () => {
  const fake = new FakeServices();
  const read: RestRoute = {
    ...crash,
    handle: async (_request, call) =>
      answer(`${await call(TokenService.method.getToken, { connectionId: "hang" })}`),
  };
  const routes = restRoutes({ ...restDefaults, ...fake, table: [read] });
  const { base } = await openListener({ routes });
  const [started, aborted] = [fake.next("started"), fake.next("aborted")];
  const leave = new AbortController();
  const call = fetch(`${base}/crash`, { headers, signal: leave.signal }).catch(() => "left");
  await started;
  leave.abort();
  expect(await call).toBe("left");
  await aborted;
  fake.release();
});

test("HTTP/2 is served too", async () => {
  const { base } = await openRest();
  const session = connectHttp2(base);
  onTestFinished(() => session.destroy());
  for (const [method, body, length] of [
    ["POST", '{"x":1}', 30],
    ["HEAD", undefined, 0],
  ] as const) {
    const stream = session.request({ ":method": method, ":path": "/v1/echo/a", ...headers });
    stream.end(body);
    const [answered] = (await once(stream, "response")) as [Record<string, unknown>];
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(answered[":status"]).toBe(200);
    expect(Buffer.concat(chunks).length).toBeGreaterThanOrEqual(length);
  }
  const large = session.request({ ":method": "POST", ":path": "/v1/echo/a", ...headers });
  large.on("error", () => undefined);
  large.end(Buffer.alloc(2_000_000, " "));
  const [answered] = (await once(large, "response")) as [Record<string, unknown>];
  expect(answered[":status"]).toBe(413);
  large.close();
});

test("over a Unix socket the owner needs no key", async () => {
  const path = join(temporaryFolder(), "http.sock");
  await openListener({
    listen: { kind: "unix", path },
    routes: restRoutes({ ...restDefaults, services: [], table: [read], onUnexpected: () => undefined }),
  });
  const request = httpRequest({ socketPath: path, path: "/v1/echo/a" });
  request.end();
  const [response] = (await once(request, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(200);
});
