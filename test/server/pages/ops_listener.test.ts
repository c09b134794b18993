import { connect } from "node:net";
import { expect, test } from "vitest";
import { opsListener } from "../../../src/server/pages/ops_listener.js";
import { loopback, opened, portOf } from "../temporary.js";

const noStore = { "cache-control": "no-store" };

async function openListener(checks: Record<string, boolean | string> = { store: true }) {
  const unexpected: unknown[][] = [];
  let metrics = async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" });
  const listener = await opened(
    opsListener({
      listen: loopback,
      setting: "NEXUS_OPS_LISTEN",
      readiness: () => checks,
      metrics: () => metrics(),
      pages: {
        "/status": async (query) => ({
          status: 200,
          headers: noStore,
          body: `status ${query.get("refresh")}`,
        }),
      },
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
  ["GET", "/status?refresh=off", 200, "status off"],
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
