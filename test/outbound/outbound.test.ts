import { createServer, Socket } from "node:net";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { OutboundResponse } from "../../src/outbound/outbound_exchange.js";
import {
  createOutboundFetch,
  OutboundError,
  type OutboundRequest,
} from "../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";
import { hangUp, json, silence, startScriptedServer } from "../oauth/scripted_server.js";

const get: OutboundRequest = { method: "GET", headers: { accept: "application/json" } };
const post = (body: Record<string, string>): OutboundRequest => ({
  method: "POST",
  headers: { "content-type": "application/x-www-form-urlencoded;charset=UTF-8" },
  body: new URLSearchParams(body),
});
const canary = "canary-4711";

const requests = { GET: get, POST: post({ code: canary }) };

const server = perTest(() => startScriptedServer());
const fetchWith = (more: { timeoutMs?: number; tokenTimeoutMs?: number; maxBytes?: number } = {}) =>
  createOutboundFetch({ networks: loopbackNetworks, ...more });

/** Answers the port, which is closed after the test. */
async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  const raw = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    raw.close();
  });
  return (raw.address() as { port: number }).port;
}

async function failure(answer: Promise<OutboundResponse>): Promise<OutboundError> {
  const violation = await answer.then(
    (response) => response.status,
    (error: unknown) => error,
  );
  expect(violation).toBeInstanceOf(OutboundError);
  expect(inspect(violation, { depth: 10, showHidden: true })).not.toContain(canary);
  return violation as OutboundError;
}

/** A port that nobody listens on any more. */
async function closedPort(): Promise<number> {
  const raw = createServer();
  await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
  const { port } = raw.address() as { port: number };
  await new Promise((resolve) => raw.close(resolve));
  return port;
}

/** What a request ended with that must fail: by default one to the server, with a secret in it. */
const refusal = (url = server.origin, request = requests.POST, more = {}): Promise<OutboundError> =>
  failure(fetchWith(more)(url, request));

/** Stops this process's event loop, as SIGSTOP and a freezer do: the kernel goes on taking what is sent. */
function pause(pauseMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
}

test("a request that must not be sent any more when its socket is open is not sent", async () => {
  let isAsked = false;
  let bytes = 0;
  const port = await listen((socket) => socket.on("data", (piece) => (bytes += piece.length)));
  const maySend = (): boolean => {
    isAsked = true;
    return false;
  };
  const fetch = createOutboundFetch({ networks: loopbackNetworks, maySend });
  const { reason, phase } = await failure(fetch(`http://127.0.0.1:${port}/`, post({ code: canary })));
  expect([reason, phase, isAsked, bytes]).toEqual(["not_leading", "before_send", true, 0]);
});

test("a process that is stopped after it was asked whether it may send has written its request, or never does", async () => {
  const clock = new ManualClock(0);
  const leaseMs = 7_000;
  const writtenMs: number[] = [];
  const { _writev: write } = Socket.prototype;
  vi.spyOn(Socket.prototype, "_writev").mockImplementation(function (this: Socket, ...parameters) {
    writtenMs.push(clock.monotonicMs());
    write?.apply(this, parameters);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const maySend = (): boolean => {
    queueMicrotask(() => clock.advance(leaseMs));
    return clock.monotonicMs() < leaseMs;
  };
  const fetch = createOutboundFetch({ networks: loopbackNetworks, maySend });
  await fetch(server.origin, post({ code: canary }));
  // The request; behind it, the answer.
  expect(writtenMs[0]).toBe(0);
});

describe("what is done before a request is sent", () => {
  /** @returns the request, and how often it was asked whether it may be sent */
  const asking = (mayBeSent: () => Promise<boolean>) => {
    const beforeSend = (): Promise<boolean> => {
      asked.times++;
      return mayBeSent();
    };
    const asked = { request: { ...requests.POST, beforeSend }, times: 0 };
    return asked;
  };

  test("is done when the connection is open, and the request waits for it", async () => {
    let bytes = 0;
    let opened = 0;
    const port = await listen((socket) => {
      opened++;
      socket.on("data", (piece) => (bytes += piece.length));
    });
    let allow: (mayBeSent: boolean) => void = () => undefined;
    const asked = asking(() => new Promise((resolve) => (allow = resolve)));
    const answer = failure(fetchWith({ timeoutMs: 200 })(`http://127.0.0.1:${port}/`, asked.request));
    await expect.poll(() => [opened, asked.times]).toEqual([1, 1]);
    expect(bytes).toBe(0);
    allow(true);
    await expect.poll(() => bytes).toBeGreaterThan(0);
    expect(await answer).toMatchObject({ reason: "timeout", phase: "after_send" });
  });

  test.each([
    ["says no", () => Promise.resolve(false), "aborted"],
    ["fails", () => Promise.reject(new Error(canary)), "aborted"],
    ["takes longer than the request may", () => new Promise<boolean>(() => undefined), "timeout"],
  ] as const)("sends nothing where it %s", async (_, beforeSend, reason) => {
    const asked = asking(beforeSend);
    expect(await refusal(server.origin, asked.request, { timeoutMs: 200 })).toMatchObject({
      reason,
      phase: "before_send",
    });
    expect([asked.times, server.requests]).toEqual([1, []]);
  });

  test("sends nothing over a connection that was closed meanwhile", async () => {
    let close: () => void = () => undefined;
    const port = await listen((socket) => (close = () => socket.end()));
    const asked = asking(async () => {
      close();
      for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
      return true;
    });
    const violation = await refusal(`http://127.0.0.1:${port}/`, asked.request);
    expect(violation).toMatchObject({ reason: "network", phase: "before_send", code: "ECONNRESET" });
  });

  test("is not done where no connection opens, or nothing may be sent", async () => {
    const asked = asking(() => Promise.resolve(true));
    await refusal(`http://127.0.0.1:${await closedPort()}/`, asked.request);
    const following = createOutboundFetch({ networks: loopbackNetworks, maySend: () => false });
    expect(await failure(following(server.origin, asked.request))).toMatchObject({ reason: "not_leading" });
    expect(asked.times).toBe(0);
  });
});

describe("a token request", () => {
  const request = { ...requests.POST, isTokenRequest: true };

  test("once sent, is waited for for longer than any other", async () => {
    server.script = (response, seen) => setTimeout(() => json({ a: 1 })(response, seen), 600);
    const more = { timeoutMs: 200 };
    expect((await fetchWith(more)(server.origin, request)).status).toBe(200);
    expect(await refusal(server.origin, requests.POST, more)).toMatchObject({ reason: "timeout" });
    expect(await refusal(server.origin, request, { ...more, tokenTimeoutMs: 300 })).toMatchObject({
      reason: "timeout",
      phase: "after_send",
    });
  });

  test("connects within the time of all others", async () => {
    const fetch = createOutboundFetch({
      networks: loopbackNetworks,
      timeoutMs: 100,
      lookup: () => new Promise(() => undefined),
    });
    expect(await failure(fetch("https://op.example/token", request))).toMatchObject({
      reason: "timeout",
      phase: "before_send",
    });
  });
});

describe("a pause for longer than the deadline", () => {
  const timeoutMs = 200;
  const fetch = fetchWith({ timeoutMs });

  test.each([
    ["a little", timeoutMs],
    ["much", timeoutMs + 1_000],
  ])("an answer that came meanwhile is read: %s longer", async (_, pauseMs) => {
    server.script = (response, request) => {
      json({ refresh_token: "rotated" })(response, request);
      pause(pauseMs);
    };
    const response = await fetch(server.origin, post({ refresh_token: canary }));
    expect(JSON.parse(await response.text())).toEqual({ refresh_token: "rotated" });
  });

  test("an answer whose rest comes after it is read", async () => {
    server.script = (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"refresh_token":');
      setTimeout(() => response.end('"rotated"}'), timeoutMs + 1_100);
      pause(timeoutMs + 1_000);
    };
    const response = await fetch(server.origin, post({ refresh_token: canary }));
    expect(JSON.parse(await response.text())).toEqual({ refresh_token: "rotated" });
  });

  test.each([50, 1_000])(
    "%i ms longer, nothing is sent over a socket that opens only then",
    async (laterMs) => {
      const asked = failure(fetch(server.origin, requests.POST));
      // The kernel opens the socket meanwhile.
      for (let turns = 0; turns < 100; turns++) await Promise.resolve();
      pause(timeoutMs + laterMs);
      const violation = await asked;
      expect(violation).toMatchObject({ reason: "timeout", phase: "before_send" });
      await new Promise((resolve) => setImmediate(resolve));
      expect(server.requests).toEqual([]);
    },
  );

  test("without an answer the request ends two seconds later", async () => {
    server.script = () => pause(timeoutMs + 1_000);
    const startedMs = performance.now();
    expect(await failure(fetch(server.origin, post({ code: canary })))).toMatchObject({
      reason: "timeout",
      phase: "after_send",
    });
    expect(performance.now() - startedMs).toBeGreaterThan(timeoutMs + 2_900);
  });
});

describe("an answer", () => {
  test("comes back whole, without cookies", async () => {
    server.script = json({ a: 1 }, 201, { "set-cookie": "a=b", "retry-after": "7" });
    const response = await fetchWith()(`${server.origin}/token?x=1`, post({ a: "b c", d: "" }));
    expect(response.status).toBe(201);
    expect(JSON.parse(await response.text())).toEqual({ a: 1 });
    expect(response.headers.get("retry-after")).toBe("7");
    expect(response.headers.has("set-cookie")).toBe(false);

    const [request] = server.requests;
    expect(request?.path).toBe("/token?x=1");
    expect(request?.form.toString()).toBe("a=b+c&d=");
    expect(request?.headers["content-length"]).toBe("8");
    expect(request?.headers["transfer-encoding"]).toBeUndefined();
    expect(request?.headers["content-type"]).toBe("application/x-www-form-urlencoded;charset=UTF-8");
    expect(request?.headers.cookie).toBeUndefined();
  });

  test.each([[{}], [{ a: "" }], [{ text: "ä€😀".repeat(50_000) }]])(
    "to any body, number %#",
    async (body) => {
      await fetchWith()(server.origin, post(body));
      expect(Object.fromEntries(server.requests[0]?.form ?? [])).toEqual(body);
    },
  );

  test.each([401, 400, 404, 500, 503])("of status %d is an answer", async (status) => {
    server.script = json({ error: "x" }, status, { "www-authenticate": 'Basic realm="x"' });
    const response = await fetchWith()(server.origin, post({ a: "b" }));
    expect(response.status).toBe(status);
    expect(await response.text()).toBe('{"error":"x"}');
  });

  test("without a body is an answer", async () => {
    server.script = (response) => response.writeHead(204).end();
    expect((await fetchWith()(server.origin, get)).status).toBe(204);
  });

  test("is decoded, and counted decoded", async () => {
    const send = (bytes: number) => {
      server.script = (response) => {
        response.writeHead(200, { "content-encoding": "gzip" });
        response.end(gzipSync(Buffer.alloc(bytes, "a")));
      };
      return fetchWith({ maxBytes: 1000 })(server.origin, get);
    };
    expect((await (await send(1000)).text()).length).toBe(1000);
    expect((await failure(send(100_000))).reason).toBe("too_large");
  });
});

describe("refused before anything is sent", () => {
  test.each([
    "http://example.com/token",
    "http://127.0.0.1.example.com/",
    "http://10.0.0.1/",
    "http://[::ffff:10.0.0.1]/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "https://user:pw@example.com/",
    "data:application/json,{}",
    "/token",
    "",
  ])("%s", async (url) => {
    const violation = await refusal(url, get);
    expect(violation).toMatchObject({ reason: "forbidden_url", phase: "before_send" });
  });
});

test.each([
  { authorization: `Bearer ${canary}\r\nx: y` },
  { authorization: `Bearer ${canary}ő` },
  { "x\r\ny": canary },
])("a header that cannot be sent is an error before anything is sent: %#", async (headers) => {
  const violation = await refusal(server.origin, { ...post({}), headers });
  expect(violation).toMatchObject({ reason: "network", phase: "before_send" });
  expect(server.requests).toHaveLength(0);
});

describe("no answer", () => {
  test.each([301, 302, 307, 308, 304])("a redirect with %d is not followed", async (status) => {
    server.script = json("", status, { location: `${server.origin}/elsewhere?${canary}` });
    const violation = await refusal();
    expect(violation).toMatchObject({ reason: "redirect", phase: "after_send", httpStatus: status });
    expect(server.requests).toHaveLength(1);
  });

  test("unless a redirect is one", async () => {
    server.script = json("", 302, { location: "/elsewhere" });
    const answer = await fetchWith()(server.origin, { method: "GET", headers: {}, takesRedirect: true });
    expect([answer.status, answer.headers.get("location"), server.requests.length]).toEqual([
      302,
      "/elsewhere",
      1,
    ]);
  });

  test.each(["GET", "POST"] as const)("%s: nobody listens", async (method) => {
    const url = `http://127.0.0.1:${await closedPort()}/?code=${canary}`;
    const violation = await refusal(url, requests[method]);
    expect(violation).toMatchObject({ reason: "network", phase: "before_send", code: "ECONNREFUSED" });
    expect(violation.host).toBe("127.0.0.1");
  });

  test.each(["GET", "POST"] as const)("%s: no such host", async (method) => {
    // A label of 64 characters: the resolver refuses it without asking anybody.
    const url = `https://${"x".repeat(64)}.invalid/?code=${canary}`;
    const violation = await refusal(url, requests[method]);
    expect(violation).toMatchObject({ reason: "network", phase: "before_send" });
  });

  test.each(["GET", "POST"] as const)("%s: no TLS there", async (method) => {
    const port = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const url = `https://127.0.0.1:${port}/`;
    const violation = await refusal(url, requests[method]);
    expect(violation).toMatchObject({ reason: "network", phase: "before_send" });
  });

  test("a handshake that never ends times out before the request is sent", async () => {
    const port = await listen(() => {});
    const violation = await refusal(`https://127.0.0.1:${port}/`, requests.POST, { timeoutMs: 50 });
    expect(violation).toMatchObject({ reason: "timeout", phase: "before_send" });
  });

  test("silence times out after the request is sent", async () => {
    server.script = silence;
    const violation = await refusal(server.origin, requests.POST, { timeoutMs: 500 });
    expect(violation).toMatchObject({ reason: "timeout", phase: "after_send" });
    expect(server.requests).toHaveLength(1);
  });

  test("the deadline covers the body, however lively it drips", async () => {
    server.script = (response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write("a"), 5);
      response.once("close", () => clearInterval(drip));
    };
    const violation = await refusal(server.origin, get, { timeoutMs: 500 });
    expect(violation).toMatchObject({ reason: "timeout", phase: "after_send", httpStatus: 200 });
  });

  test("a connection that is cut after the request", async () => {
    server.script = hangUp;
    const violation = await refusal();
    expect(violation).toMatchObject({ reason: "network", phase: "after_send" });
  });

  test("a switch to another protocol", async () => {
    const port = await listen((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
      });
    });
    const violation = await refusal(`http://127.0.0.1:${port}/`, requests.POST);
    expect(violation).toMatchObject({ reason: "network", phase: "after_send", code: "ECONNRESET" });
  });

  test("a body that breaks off keeps the status", async () => {
    server.script = (response) => {
      response.writeHead(503, { "content-length": "100" });
      response.write("half", () => response.socket?.destroy());
    };
    const violation = await refusal();
    expect(violation).toMatchObject({ reason: "network", phase: "after_send", httpStatus: 503 });
  });

  test("the caller gave up: before", async () => {
    const request = { ...post({ code: canary }), signal: AbortSignal.abort() };
    const violation = await refusal(server.origin, request);
    expect(violation).toMatchObject({ reason: "aborted", phase: "before_send" });
    expect(server.requests).toHaveLength(0);
  });

  test("the caller gave up: during", async () => {
    const stop = new AbortController();
    server.script = () => stop.abort();
    const request = { ...post({ code: canary }), signal: stop.signal };
    const violation = await refusal(server.origin, request);
    expect(violation).toMatchObject({ reason: "aborted", phase: "after_send" });
  });
});

test("each request has a connection of its own", async () => {
  const ports = new Set<number | undefined>();
  server.script = (response) => {
    ports.add(response.socket?.remotePort);
    response.end("{}");
  };
  const fetch = fetchWith();
  for (let i = 0; i < 3; i++) await fetch(server.origin, post({ a: "b" }));
  expect(ports.size).toBe(3);
});
