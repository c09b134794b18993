import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { Code, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { ProviderService } from "../../../src/gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { answerJson } from "../../../src/server/connect/json_answer.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { apiKey } from "../fake_services.js";
import { failure, getTokenPath, json, openListener, transports, withKey } from "../http_listener_fixture.js";

let consoleError: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  consoleError = vi.spyOn(console, "error");
});
afterEach(() => {
  expect(consoleError).not.toHaveBeenCalled();
  consoleError.mockRestore();
});

describe.each(transports)("%s", (_name, makeTransport) => {
  const clientOf = (base: string, interceptors = [withKey]) =>
    createClient(TokenService, makeTransport(base, interceptors));

  test("a call, as whoever the key belongs to", async () => {
    const { base } = await openListener();
    const { token } = await clientOf(base).getToken({ connectionId: "a" });
    expect(token?.grantedScopes).toEqual(["a", "admin"]);
  });

  test("without the key: unauthenticated, unary and stream", async () => {
    const { base, fake } = await openListener();
    const client = clientOf(base, []);
    const error = await failure(client.getToken({ connectionId: "a" }));
    expect(error.code).toBe(Code.Unauthenticated);
    expect(error.rawMessage).toContain("x-api-key");
    expect((await failure(client.watchTokens({})[Symbol.asyncIterator]().next())).code).toBe(
      Code.Unauthenticated,
    );
    expect(fake.unexpected).toEqual([]);
  });

  test("a wire error keeps code, message and details", async () => {
    const { base } = await openListener();
    const error = await failure(clientOf(base).refreshToken({ connectionId: "fail" }));
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "consent ☃ again, 100%" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "ATTENTION_REQUIRED" }]);
  });

  test("anything else is internal, says nothing, and is reported", async () => {
    const { base, fake } = await openListener();
    const error = await failure(clientOf(base).refreshToken({ connectionId: "crash" }));
    expect(error).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
    expect(fake.unexpected).toMatchObject([{ where: "nexus.v1.TokenService/RefreshToken" }]);
    const stream = clientOf(base).watchTokens({ userId: "crash" })[Symbol.asyncIterator]();
    await stream.next();
    expect(await failure(stream.next())).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
    expect(fake.unexpected).toHaveLength(2);
  });

  test("methods that are not there are unimplemented", async () => {
    const { base } = await openListener();
    const client = createClient(ProviderService, makeTransport(base, [withKey]));
    expect((await failure(client.getProvider({}))).code).toBe(Code.Unimplemented);
  });

  test("a request above 1 MiB is refused", async () => {
    const { base } = await openListener();
    const error = await failure(clientOf(base).getToken({ connectionId: "x".repeat(1_100_000) }));
    expect(error.code).toBe(Code.ResourceExhausted);
  });

  test("a stream, in order, to its end or its error", async () => {
    const { base, fake } = await openListener();
    const ids: unknown[] = [];
    const read = async (userId: string) => {
      for await (const { event } of clientOf(base).watchTokens({ userId })) {
        ids.push(event.case === "removed" && event.value.connectionId);
      }
    };
    await read("");
    expect(await failure(read("fail"))).toMatchObject({ code: Code.Unavailable, rawMessage: "later" });
    expect(fake.unexpected).toEqual([]);
    expect(ids).toEqual(["first", "second", "first"]);
  });

  test("a cancel aborts the signal of a source that hangs, and nothing is logged", async () => {
    const { base, fake } = await openListener();
    const cancel = new AbortController();
    const stream = clientOf(base).watchTokens({ userId: "hang" }, { signal: cancel.signal });
    const messages = stream[Symbol.asyncIterator]();
    const started = fake.next("started");
    await messages.next();
    await started;
    const aborted = fake.next("aborted");
    cancel.abort();
    await failure(messages.next());
    await aborted;
    const returned = fake.next("returned");
    fake.release();
    await returned;
    expect(fake.unexpected).toEqual([]);
  });

  test("a deadline ends a call that hangs", async () => {
    const { base, fake } = await openListener();
    const aborted = fake.next("aborted");
    const error = await failure(clientOf(base).getToken({ connectionId: "hang" }, { timeoutMs: 100 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    await aborted;
    fake.release();
    expect(fake.unexpected).toEqual([]);
  });
});

describe("plain fetch", () => {
  test("a call in JSON, without any header of the protocol", async () => {
    const { base } = await openListener();
    const response = await fetch(base + getTokenPath, {
      method: "POST",
      headers: { ...json, "x-api-key": apiKey, "accept-encoding": "gzip" },
      body: '{"connectionId":"a"}',
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-encoding")).toBeNull();
    expect(await response.json()).toEqual({ token: { grantedScopes: ["a", "admin"] } });
  });

  test("without the key: 401 and the code", async () => {
    const { base } = await openListener();
    const response = await fetch(base + getTokenPath, { method: "POST", headers: json, body: "{}" });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ code: "unauthenticated" });
  });

  test("other paths: the routes first, else 404 in JSON", async () => {
    const { base } = await openListener({
      routes: (request, response, principal) => {
        if (request.url !== "/v1/hello") return false;
        answerJson(response, 200, "none", `hello ${principal?.name ?? "unauthenticated"}`);
        return true;
      },
    });
    const hello = await fetch(`${base}/v1/hello`, { headers: { authorization: `bearer ${apiKey}` } });
    expect(await hello.json()).toMatchObject({ message: "hello admin" });
    expect(await (await fetch(`${base}/v1/hello`)).json()).toMatchObject({
      message: "hello unauthenticated",
    });
    const missing = await fetch(`${base}/v1/no`);
    expect(missing.status).toBe(404);
    expect(await missing.json()).toEqual({
      error: "not_found",
      code: "not_found",
      message: expect.any(String),
    });
  });

  test("a route that throws is a 500 that says nothing, and is reported", async () => {
    const { base, fake } = await openListener({
      routes: () => {
        throw new Error("the secret is 4711");
      },
    });
    const response = await fetch(`${base}/v1/no?secret=1`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("4711");
    expect(fake.unexpected).toMatchObject([{ where: "/v1/no" }]);
  });
});

test("gRPC without the key is refused by trailers alone, with HTTP status 200", async () => {
  const { base } = await openListener();
  const session = connectHttp2(base);
  onTestFinished(() => session.destroy());
  const headers = {
    ":method": "POST",
    ":path": getTokenPath,
    "content-type": "application/grpc",
    te: "trailers",
  };
  const stream = session.request(headers);
  stream.resume().end(Buffer.alloc(5));
  const [response] = (await once(stream, "response")) as [Record<string, unknown>];
  expect(response).toMatchObject({ ":status": 200, "grpc-status": "16" });
});

describe("over a Unix socket", () => {
  test.each(["localhost", "a b", "%2Ftmp%2Fx"])(
    "the caller is the owner, whatever the host: %j",
    async (host) => {
      const path = join(temporaryFolder(), "http.sock");
      await openListener({ listen: { kind: "unix", path } });
      const request = httpRequest({
        socketPath: path,
        path: getTokenPath,
        method: "POST",
        headers: { ...json, host },
      });
      request.end('{"connectionId":"a"}');
      const [response] = (await once(request, "response")) as [
        AsyncIterable<Buffer> & { statusCode: number },
      ];
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      expect(response.statusCode).toBe(200);
      expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({
        token: { grantedScopes: ["a", "owner"] },
      });
    },
  );
});
