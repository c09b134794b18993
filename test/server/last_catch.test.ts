import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { TokenService, TokenServiceGetTokenResponseSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { Unavailable } from "../../src/model/errors.js";
import { ApiListener, type ApiListenerOptions } from "../../src/server/api/api_listener.js";
import { HttpListener } from "../../src/server/listen/http_listener.js";
import { restRoutes } from "../../src/server/rest/rest_routes.js";
import { answer, type RestRoute } from "../../src/server/rest/route.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";
import { authenticate, FakeServices } from "./fake_services.js";
import { GrpcTestClient } from "./grpc_client.js";
import { type Get, protocols } from "./http_gets.js";
import { openListener } from "./http_listener_fixture.js";
import { restDefaults } from "./rest_defaults.js";
import { loopback, opened, portOf } from "./temporary.js";

// An exception that nobody catches ends the daemon; here it fails the run, whatever the test expects.

describe.each(protocols)("%s", (_name, get) => {
  test("a REST answer that cannot be written is 500", async () => {
    const unexpected: unknown[] = [];
    const route: RestRoute = {
      method: "GET",
      path: "/bad",
      ...{ operationId: "bad", summary: "", tag: "document", errors: [] },
      success: { status: 200, schema: "OpenApiDocument" },
      // HTTP/1.1 takes no line break, HTTP/2 no such header.
      handle: async () => ({ ...answer({}), headers: { "transfer-encoding": "a\nb" } }),
    };
    const onUnexpected = (error: unknown): void => void unexpected.push(error);
    const { port } = await openListener({
      routes: restRoutes({ ...restDefaults, services: [], table: [route], onUnexpected }),
    });
    const internal = '500 {"error":"internal","code":"internal","message":"internal error"}';
    expect(await get(port, "/bad")).toBe(internal);
    expect(await get(port, "/bad")).toBe(internal);
    expect(unexpected).toHaveLength(2);
  });

  test("a route that throws with a header at hand that cannot be sent is 500", async () => {
    const { port, fake } = await openListener({
      routes: (_request, response) => {
        response.setHeader("transfer-encoding", "x");
        throw new Error("the secret is 4711");
      },
    });
    const internal = '500 {"error":"internal","code":"internal","message":"internal error"}';
    expect(await get(port, "/bad")).toBe(internal);
    expect(await get(port, "/bad")).toBe(internal);
    expect(fake.unexpected).toHaveLength(2);
  });

  test("a route that throws in the middle of its answer has its connection or stream destroyed", async () => {
    const { port, fake } = await openListener({
      routes: (_request, response) => {
        response.writeHead(200, {});
        (response as NodeJS.WritableStream).write("x");
        throw new Error("the secret is 4711");
      },
    });
    expect(await get(port, "/bad")).toMatch(/^(destroyed|200 x?)$/);
    expect(fake.unexpected).toHaveLength(1);
  });
});

test("a page whose very error page cannot be written has its connection destroyed", async () => {
  const unexpected: unknown[] = [];
  const unwritable = { status: 500, headers: { "x-bad": "a\nb" }, body: "" };
  const listener = await opened(
    new HttpListener({
      ...{ listener: "ops", setting: "NEXUS_OPS_LISTEN", listen: loopback, internalError: unwritable },
      answer: ({ url }) =>
        Promise.resolve(url === "/" ? { status: 200, headers: {}, body: "ok" } : unwritable),
      onUnexpected: (error) => void unexpected.push(error),
    }),
  );
  const get = protocols[0]?.[1] as Get;
  expect(await get(portOf(listener), "/bad")).toBe("destroyed");
  expect(await get(portOf(listener), "/")).toBe("200 ok");
  expect(unexpected).toHaveLength(1);
});

describe("gRPC", () => {
  async function openGrpc(more: Partial<ApiListenerOptions> = {}) {
    const fake = new FakeServices();
    const path = join(temporaryFolder(), "nexus.sock");
    const methods = {
      unary: { kind: "unary", descriptor: TokenService.method.getToken, validate: () => undefined },
      stream: {
        kind: "server_streaming",
        descriptor: TokenService.method.watchTokens,
        validate: () => undefined,
      },
    } as const;
    // What the wire cannot say: a revision beyond 64 bits.
    const unwritable = create(TokenServiceGetTokenResponseSchema, { token: { revision: 2n ** 70n } });
    const throwing = (): never => {
      throw new Error("the secret is 4711");
    };
    await opened(
      new ApiListener({
        ...{ name: "grpc", listen: { kind: "unix", path }, setting: "NEXUS_GRPC_LISTEN", authenticate },
        clock: new ManualClock(0),
        onUnexpected: fake.onUnexpected,
        services: [
          {
            descriptor: TokenService,
            methods: [
              { ...methods.unary, call: () => unwritable },
              { ...methods.stream, open: throwing },
            ],
          },
        ],
        ...more,
      }),
    );
    const client = new GrpcTestClient(`unix:${path}`);
    onTestFinished(() => client.close());
    return { fake, client, path };
  }

  test("a message that cannot be written is INTERNAL", async () => {
    const { client } = await openGrpc();
    for (let call = 0; call < 2; call++) {
      await expect(client.call(TokenService.method.getToken, { connectionId: "a" })).rejects.toMatchObject({
        code: status.INTERNAL,
      });
    }
  });

  test.each(["identity", "gzip"])("a stream that throws when it opens is INTERNAL (%s)", async (encoding) => {
    const { path, fake } = await openGrpc();
    for (let call = 0; call < 2; call++) {
      expect(await statusOfStream(path, encoding)).toBe(String(status.INTERNAL));
    }
    expect(fake.unexpected).toHaveLength(2);
  });

  test.each(["identity", "gzip"])(
    "credentials that cannot be verified, with half a pair in the reason (%s)",
    async (encoding) => {
      const { path } = await openGrpc({
        authenticate: () => {
          throw new Unavailable("later \ud800", 1_000);
        },
      });
      for (let call = 0; call < 2; call++) {
        expect(await statusOfStream(path, encoding)).toBe(String(status.UNAVAILABLE));
      }
    },
  );

  /** Of WatchTokens. */
  async function statusOfStream(path: string, encoding: string): Promise<string> {
    const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ...{ ":method": "POST", ":path": "/nexus.v1.TokenService/WatchTokens", te: "trailers" },
      ...{ "content-type": "application/grpc", "grpc-encoding": encoding },
    });
    stream.on("error", () => undefined);
    let said = "none";
    const read = (fields: Record<string, unknown>): void => {
      if (fields["grpc-status"] !== undefined) said = String(fields["grpc-status"]);
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.resume();
    stream.end(Buffer.alloc(5));
    await once(stream, "close");
    session.close();
    return said;
  }
});
