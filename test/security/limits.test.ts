import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { ConnectionService } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenService, WatchTokensRequestSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { failureOf } from "../daemon/errors.js";
import { LimitedWorld, RawSocket } from "./limited_world.js";

const getTokenPath = "/nexus.v1.TokenService/GetToken";
const watchPath = "/nexus.v1.TokenService/WatchTokens";

/** Over the http listener, with a key: another principal than the owner of the Unix socket. */
function connectClients(world: LimitedWorld, httpVersion: "1.1" | "2", headers: Record<string, string> = {}) {
  const transport = createConnectTransport({
    baseUrl: world.place.httpUrl,
    httpVersion,
    interceptors: [
      (next) => (request) => {
        request.header.set("x-api-key", world.place.apiKey);
        for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
        return next(request);
      },
    ],
  });
  return {
    connections: createClient(ConnectionService, transport),
    tokens: createClient(TokenService, transport),
  };
}

describe("limits", () => {
  test("a message has a longest length, over gRPC and Connect", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_MESSAGE_BYTES: "65536" });
    const long = { userId: "ada", scopes: ["x".repeat(70_000)] };
    const grpc = await failureOf(world.clients.connections.requestConnection(long));
    expect(grpc).toMatchObject({ code: "ResourceExhausted", message: expect.stringContaining("65536") });

    for (const version of ["1.1", "2"] as const) {
      const failure = await failureOf(connectClients(world, version).connections.requestConnection(long));
      expect(failure.code).toBe("ResourceExhausted");
      expect(failure.message).toContain("65536");
    }
    const response = await world.rest(getTokenPath, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ connectionId: "x".repeat(70_000) }),
    });
    expect(response.status).toBe(429);
    expect(await response.text()).toMatch(/a message: at most 65536 bytes .*NEXUS_MAX_MESSAGE_BYTES/);
    expect(await world.count()).toBe(0);
  });

  test("the headers of a request have a longest length, at every listener", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_HEADER_BYTES: "4096" });
    const said = /the headers of a request: at most 4096 bytes .*NEXUS_MAX_HEADER_BYTES/;
    const { place } = world;
    const headers = { "x-long": "a".repeat(5_000) };
    for (const url of [`${place.httpUrl}/v1/connections`, `${place.opsUrl}/livez`, place.config.publicUrl]) {
      const response = await fetch(url, { headers });
      expect(response.status).toBe(431);
      expect(await response.text()).toMatch(said);
    }
    const overHttp2 = connectClients(world, "2", headers).tokens.getToken({ connectionId: "a" });
    expect(await failureOf(overHttp2)).toMatchObject({
      code: "ResourceExhausted",
      reason: "HEADERS_TOO_LARGE",
      message: expect.stringMatching(said),
    });
    const overGrpc = world.clients.tokens.getToken({ connectionId: "a" }, { headers });
    expect(await failureOf(overGrpc)).toMatchObject({
      code: "ResourceExhausted",
      reason: "HEADERS_TOO_LARGE",
      message: expect.stringMatching(said),
    });
    const huge = { headers: { "x-huge": "a".repeat(200_000) } };
    await failureOf(world.clients.tokens.getToken({ connectionId: "a" }, huge));
    await world.import();
  });

  test("the body of a REST request and a form have a longest length", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_BODY_BYTES: "65536", NEXUS_MAX_FORM_BYTES: "4096" });
    const response = await world.rest("/v1/request-connection", {
      method: "POST",
      body: JSON.stringify({ user_id: "ada", provider_name: "keys", note: "x".repeat(70_000) }),
    });
    expect(response.status).toBe(413);
    expect(await response.text()).toMatch(/65536 bytes .*NEXUS_MAX_BODY_BYTES/);

    const form = await fetch(`${world.place.config.publicUrl}/auth/capture?state=${"s".repeat(43)}`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: `password=${"x".repeat(5_000)}`,
    });
    expect(form.status).toBe(413);
    expect(await world.count()).toBe(0);
  });

  test("a principal has so many streams at a time, and all together", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_STREAMS_PER_PRINCIPAL: "2", NEXUS_MAX_STREAMS: "3" });
    const { tokens } = world.clients;
    const stops = [new AbortController(), new AbortController(), new AbortController()];
    onTestFinished(() => {
      for (const stop of stops) stop.abort();
    });
    const last = new AbortController();
    stops.push(last);
    const open = (client: typeof tokens, stop = new AbortController()) =>
      client.watchTokens({}, { signal: stop.signal })[Symbol.asyncIterator]().next();
    await open(tokens, stops[0]);
    await open(tokens, stops[1]);
    expect(await failureOf(open(tokens))).toMatchObject({
      code: "ResourceExhausted",
      reason: "TOO_MANY_STREAMS",
      message:
        "streams of this principal: at most 2 at a time (the setting is NEXUS_MAX_STREAMS_PER_PRINCIPAL)",
    });
    const other = connectClients(world, "2").tokens;
    await open(other, stops[2]);
    expect(await failureOf(open(other))).toMatchObject({
      code: "ResourceExhausted",
      message: "streams in all: at most 3 at a time (the setting is NEXUS_MAX_STREAMS)",
    });
    stops[0]?.abort();
    const again = (): Promise<string> =>
      open(tokens, last).then(
        () => "open",
        () => "refused",
      );
    await expect.poll(again).toBe("open");
  });

  test("a call that waits for a person has a place among the streams, until it ends", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_STREAMS_PER_PRINCIPAL: "1" });
    const { tokens } = world.clients;
    const request = { providerName: "keys", userId: "ada" };
    const link = (await tokens.acquireToken(request)).result;
    const before = world.clock.pending;
    const stop = new AbortController();
    const last = new AbortController();
    onTestFinished(() => {
      stop.abort();
      last.abort();
    });
    const ask = (signal: AbortSignal) =>
      failureOf(tokens.acquireToken({ ...request, wait: { seconds: 60n } }, { signal }));
    const waiting = ask(stop.signal);
    await expect.poll(() => world.clock.pending).toBe(before + 1);
    expect((await ask(AbortSignal.timeout(5_000))).reason).toBe("TOO_MANY_STREAMS");
    expect((await tokens.acquireToken(request)).result).toEqual(link);
    stop.abort();
    expect((await waiting).code).toBe("Canceled");
    const watch = (): Promise<string> =>
      tokens
        .watchTokens({}, { signal: last.signal })
        [Symbol.asyncIterator]()
        .next()
        .then(
          () => "open",
          () => "refused",
        );
    await expect.poll(watch).toBe("open");
  });

  test("a listening address has so many sockets; the oldest without a credential give way", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_CONNECTIONS: "3" });
    const url = world.place.opsUrl;
    const request = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    const silent = await new RawSocket(url).connected();
    const busy = await Promise.all([1, 2].map(() => new RawSocket(url).connected()));
    for (const { socket } of busy) socket.write(request);
    for (const one of busy) expect(await one.until(/ok$/)).toContain("200 OK");
    const late = await new RawSocket(url).connected();
    late.socket.write(request);
    expect(await late.until(/ok$/)).toContain("200 OK");
    await silent.closed;

    const later = await new RawSocket(url).connected();
    later.socket.write(request);
    expect(await later.until(/ok$/)).toContain("200 OK");
    await busy[0]?.closed;
    expect(busy[1]?.socket.destroyed).toBe(false);
    const warnings = world.place.logLines.filter((line) => line.includes("a listener is full"));
    expect(warnings).toHaveLength(1);
    expect(JSON.parse(warnings[0] ?? "")).toMatchObject({
      listener: "ops",
      maxConnections: 3,
      setting: "NEXUS_MAX_CONNECTIONS",
    });

    const { httpUrl, apiKey } = world.place;
    const known = await Promise.all([1, 2, 3].map(() => new RawSocket(httpUrl).connected()));
    for (const one of known) {
      one.socket.write(`GET /v1/audit?limit=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: ${apiKey}\r\n\r\n`);
      expect(await one.until(/200 OK/)).toContain("200 OK");
    }
    const refused = await new RawSocket(httpUrl).connected();
    await refused.closed;
    expect(refused.received).toBe("");
  });

  test("a principal calls at a rate, whatever the listener; others are not slowed", async () => {
    const world = await LimitedWorld.make({ NEXUS_RATE_LIMIT: "1", NEXUS_RATE_BURST: "4" });
    // The first of the four made the provider.
    for (const userId of ["ada", "bob", "cy"]) await world.request(userId);
    const failure = await failureOf(
      Promise.all(["dee", "eve", "fay"].map((userId) => world.request(userId))),
    );
    expect(failure).toMatchObject({
      code: "ResourceExhausted",
      reason: "RATE_LIMITED",
      message: "calls of this principal: at most 1 per second (the setting is NEXUS_RATE_LIMIT)",
    });
    expect(failure.retryMs).toBeGreaterThan(0);
    expect(failure.retryMs).toBeLessThanOrEqual(1_000);

    const answers = await Promise.all(Array.from({ length: 8 }, () => world.rest("/v1/audit?limit=1")));
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(4);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get("retry-after")).toBe("1");
    expect(await refused?.json()).toMatchObject({ error: "rate_limited", message: /NEXUS_RATE_LIMIT/ });
    await expect.poll(() => world.count().catch(() => 0), { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
  });

  test("a principal has so many requests for consent waiting; one that ended makes room", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_PENDING_AUTHORIZATIONS: "2" });
    const first = await world.request();
    await world.request();
    expect(await failureOf(world.request())).toMatchObject({
      code: "ResourceExhausted",
      reason: "TOO_MANY_PENDING_AUTHORIZATIONS",
      message:
        "requests for consent of this principal that wait for a person: at most 2 (the setting is NEXUS_MAX_PENDING_AUTHORIZATIONS)",
    });
    expect(await world.count()).toBe(2);
    // Asking again for the same connection replaces its request, and another principal has a number of its own.
    await world.clients.connections.requestConnection({ connectionId: first });
    const others = connectClients(world, "1.1");
    await world.request("bob", { ...world.clients, connections: others.connections });

    await world.clients.connections.revokeConnection({ connectionId: first });
    const third = await world.request();
    await world.clients.connections.deleteConnection({ connectionId: third });
    await world.request();
    expect((await failureOf(world.request())).reason).toBe("TOO_MANY_PENDING_AUTHORIZATIONS");
    world.clock.advance(11 * 60_000);
    await expect
      .poll(() =>
        world.request().then(
          () => "made",
          () => "refused",
        ),
      )
      .toBe("made");
  });

  test("a user id has so many connections; nothing is stored beyond them", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_CONNECTIONS_PER_USER: "2" });
    const first = await world.import();
    await world.request();
    const said = {
      code: "ResourceExhausted",
      reason: "TOO_MANY_CONNECTIONS",
      message: "connections of this user_id: at most 2 (the setting is NEXUS_MAX_CONNECTIONS_PER_USER)",
    };
    expect(await failureOf(world.import())).toMatchObject(said);
    expect(await failureOf(world.request())).toMatchObject(said);
    const rest = await world.rest("/v1/request-connection", {
      method: "POST",
      body: JSON.stringify({ user_id: "ada", provider_name: "keys" }),
    });
    expect([rest.status, await rest.json()]).toEqual([
      429,
      { error: "too_many_connections", code: "too_many_connections", message: said.message },
    ]);
    expect(await world.count()).toBe(2);
    await world.import("bob");
    await world.clients.connections.requestConnection({ connectionId: first });
    await world.clients.connections.deleteConnection({ connectionId: first });
    await world.import();
  });

  test("of requests at once no more pass than the limit", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_CONNECTIONS_PER_USER: "5" });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => world.import()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
    expect(await world.count()).toBe(5);
  });

  test("failed authentications of an address are slowed; on loopback a good key still passes", async () => {
    const world = await LimitedWorld.make({ NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: "3" });
    const guess = (): Promise<Response> =>
      fetch(`${world.place.httpUrl}/v1/providers`, { headers: { "x-api-key": "wrong" } });
    for (let i = 0; i < 3; i++) expect((await guess()).status).toBe(401);
    const slowed = await guess();
    expect(slowed.status).toBe(429);
    expect(Number(slowed.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await slowed.json()).toMatchObject({
      error: "too_many_failed_authentications",
      message: expect.stringMatching(/at most 3 per minute .*NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE/),
    });
    expect((await world.rest("/v1/providers")).status).toBe(200);
    const rpc = await fetch(`${world.place.httpUrl}${getTokenPath}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": "wrong" },
      body: "{}",
    });
    expect([rpc.status, await rpc.json()]).toMatchObject([429, { code: "resource_exhausted" }]);
  });

  test("the browser listener has a rate for each address, and says when to come back", async () => {
    const world = await LimitedWorld.make({ NEXUS_BROWSER_RATE_LIMIT: "1" });
    const url = `${world.place.config.publicUrl}/auth/start?state=${"s".repeat(43)}`;
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++) statuses.push((await fetch(url)).status);
    expect(statuses.slice(0, 10)).not.toContain(429);
    expect(statuses).toContain(429);
    const page = await fetch(url);
    expect(page.headers.get("retry-after")).toBe("1");
    expect(await page.text()).toContain("at most 1 per second");
  });

  test("a stream whose client does not read is reset, on both engines, and holds nothing", async () => {
    const world = await LimitedWorld.make({
      NEXUS_STREAM_READ_TIMEOUT_SECONDS: "5",
    });
    for (let i = 0; i < 60; i++) await world.import();
    const message = toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema, {}));
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    const listeners = [
      { createConnection: () => connectSocket(world.place.socket) },
      { createConnection: () => connectSocket(Number(new URL(world.place.httpUrl).port), "127.0.0.1") },
    ];
    for (const listener of listeners) {
      const session = connectHttp2("http://localhost", { ...listener, settings: { initialWindowSize: 0 } });
      onTestFinished(() => void session.destroy());
      session.on("error", () => undefined);
      const stream = session.request({
        ":method": "POST",
        ":path": watchPath,
        "content-type": "application/grpc",
        te: "trailers",
        "x-api-key": world.place.apiKey,
      });
      stream.on("error", () => undefined);
      stream.end(envelope);
      const closed = new Promise((resolve) => stream.once("close", resolve));
      await once(stream, "response");
      // The daemon counts from when it had to stop sending, which the client cannot see.
      const advance = async (): Promise<void> => {
        while (!stream.closed) {
          world.clock.advance(1_000);
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      await Promise.all([closed, advance()]);
      expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    const metrics = await (await fetch(`${world.place.opsUrl}/metrics`)).text();
    expect(metrics).toMatch(/^nexus_watch_subscribers 0$/m);
  });

  test("a connection that never speaks is closed, at every listener", async () => {
    const world = await LimitedWorld.make({});
    const { place, clock } = world;
    const urls = [`unix:${place.socket}`, place.httpUrl, place.opsUrl, place.config.publicUrl];
    const sockets = await Promise.all(urls.map((url) => new RawSocket(url).connected()));
    // The daemon has accepted them when one that came later is answered.
    await world.clients.tokens.getToken({ connectionId: await world.import() });
    for (const url of urls.slice(1)) await fetch(url);
    let isClosed = false;
    void Promise.all(sockets.map(({ closed }) => closed)).then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
