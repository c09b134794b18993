import { connect } from "node:net";
import { expect, test } from "vitest";
import { OpsListener } from "../../../src/server/pages/ops_listener.js";
import { daemonStatus, failing, planned } from "../daemon_status.js";
import { loopback, opened, portOf } from "../temporary.js";

const connectionId = "22222222-2222-4222-8222-222222222222";

async function openListener(checks: Record<string, boolean | string> = { store: true }) {
  const unexpected: unknown[][] = [];
  let metrics = async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" });
  const listener = await opened(
    new OpsListener({
      listen: loopback,
      setting: "NEXUS_OPS_LISTEN",
      readiness: () => checks,
      metrics: () => metrics(),
      status: () =>
        daemonStatus({
          connections: { ...daemonStatus().connections, active: 2 },
          nextRefreshes: [planned({ connectionId, providerName: '<b>&"' })],
          failingProviders: [failing({ message: "says 4711 in detail", providerId: connectionId })],
          failingProviderCount: 21,
        }),
      onUnexpected: (...report) => void unexpected.push(report),
    }),
  );
  const failMetrics = () => {
    metrics = () => Promise.reject(new Error("the secret is 4711"));
  };
  return { base: `http://127.0.0.1:${portOf(listener)}`, unexpected, failMetrics, listener };
}

test.each([
  ["GET", "/livez", 200, "ok"],
  ["HEAD", "/livez", 200, ""],
  ["GET", "/livez?verbose", 200, "ok"],
  ["GET", "/readyz", 200, '{"ready":true,"checks":{"store":true}}\n'],
  ["GET", "/metrics", 200, "up 1\n"],
  ["GET", "/", 404, "not found: here are /livez, /readyz, /metrics and /status\n"],
  ["GET", "/livez/", 404, "not found: here are /livez, /readyz, /metrics and /status\n"],
  ["POST", "/livez", 405, "method not allowed\n"],
])("%s %s is %i", async (method, path, status, body) => {
  const { base } = await openListener();
  const response = await fetch(base + path, { method });
  expect(response.status).toBe(status);
  expect(await response.text()).toBe(body);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("allow")).toBe(status === 405 ? "GET, HEAD" : null);
});

test.each([false, "opening", ""])("not ready when a check says %j", async (check) => {
  const { base } = await openListener({ store: true, listeners: check });
  const response = await fetch(`${base}/readyz`);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ ready: false, checks: { store: true, listeners: check } });
});

test("metrics keep their content type, and a failure says nothing and is reported", async () => {
  const { base, unexpected, failMetrics } = await openListener();
  expect((await fetch(`${base}/metrics`)).headers.get("content-type")).toBe("text/plain; version=0.0.4");
  failMetrics();
  const response = await fetch(`${base}/metrics`);
  expect(response.status).toBe(500);
  expect(await response.text()).toBe("internal error\n");
  expect(unexpected).toMatchObject([[expect.any(Error), "/metrics"]]);
});

test("the status is a page that runs nothing, loads nothing and names no connection", async () => {
  const { base } = await openListener();
  const response = await fetch(`${base}/status`);
  const page = await response.text();
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("content-security-policy")).toMatch(
    /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; frame-ancestors 'none'; base-uri 'none'; form-action 'none'$/,
  );
  expect(page).toContain("&lt;b&gt;&amp;&quot;");
  expect(page).toContain("and 20 more");
  expect(page).not.toContain(connectionId);
  expect(page).not.toContain("4711");
  expect(page).not.toMatch(/<script|<img|<link|<form| on\w+=| style=|src=/);
});

test("the status loads itself again, unless it is told to stand still", async () => {
  const { base } = await openListener();
  const page = async (query: string) => (await fetch(`${base}/status${query}`)).text();
  expect(await page("")).toContain('<meta http-equiv="refresh" content="10">');
  expect(await page("?refresh=off")).not.toContain("http-equiv");
  const head = await fetch(`${base}/status`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("closing does not wait for idle connections", async () => {
  const { base, listener } = await openListener();
  await (await fetch(`${base}/livez`)).text();
  await listener.close(new AbortController().signal);
  await expect(fetch(`${base}/livez`)).rejects.toThrow();
});

test("a transfer coding that nobody knows is answered once, and the connection closed", async () => {
  const { listener } = await openListener();
  const socket = connect(portOf(listener), "127.0.0.1");
  socket.write("GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n");
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  expect(
    Buffer.concat(chunks)
      .toString()
      .match(/HTTP\/1\.1 \d{3}/g),
  ).toHaveLength(1);
});
