import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, onTestFinished, test } from "vitest";
import type { DaemonClient } from "../../../src/cli/shell/client.js";
import type { DaemonSession } from "../../../src/cli/shell/daemon_command.js";
import { McpHttpServer } from "../../../src/ext/mcp/http_server.js";
import { McpServer } from "../../../src/ext/mcp/tools/sdk.js";
import { ManualClock } from "../../fakes/manual_clock.js";

/** @param whoAmI what the daemon says of every key */
async function listening(whoAmI: () => Promise<{ principal: string }>) {
  const clock = new ManualClock(0);
  const seen = { renewals: 0, closed: 0 };
  const renewLease = async () => ({ lease: durationFromMs(60_000), renewals: ++seen.renewals });
  const server = await McpHttpServer.listen({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    allowedHosts: [],
    makeServer: () => new McpServer({ name: "test", version: "1" }),
    clock,
    openDaemon: () =>
      ({ access: { whoAmI, renewLease }, close: () => ++seen.closed }) as unknown as DaemonClient,
    sessionOf: (daemon) => ({ daemon, shell: { clock } }) as unknown as DaemonSession,
    onError: () => undefined,
  });
  onTestFinished(() => server.close());
  const { url } = server;
  const open = async (): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { url, open, clock, seen };
}

const withKey = { headers: { authorization: "Bearer nxk_a" } };

test("clients without a key that send half a request shut out nobody who has one", async () => {
  const { url, open } = await listening(async () => ({ principal: "key:ada" }));
  for (let i = 0; i < 300; i++) (await open()).write("POST /mcp HTTP/1.1\r\nHost: localhost\r\n");
  expect((await fetch(url, { ...withKey, method: "DELETE" })).status).toBe(400);
  expect((await fetch(url, { method: "DELETE" })).status).toBe(401);
});

test("pipelined requests ask the daemon one after the other", async () => {
  let asked = 0;
  const { open } = await listening(() => {
    asked++;
    return new Promise(() => undefined);
  });
  const socket = await open();
  socket.write("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer nxk_a\r\n\r\n".repeat(5_000));
  await expect.poll(() => asked).toBeGreaterThan(0);
  const other = await open();
  other.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(other, "data");
  expect(asked).toBeLessThanOrEqual(2);
});

test("renews the lease of a caller's key with each request, and while a stream is open", async () => {
  const { url, clock, seen } = await listening(async () => ({ principal: "key:ada" }));
  const headers = {
    authorization: "Bearer nxk_a",
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "a", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const begun = await fetch(url, { method: "POST", headers, body });
  await begun.text();
  await expect.poll(() => seen).toEqual({ renewals: 1, closed: 1 });
  const session = { ...headers, "mcp-session-id": begun.headers.get("mcp-session-id") ?? "" };
  const leave = new AbortController();
  await fetch(url, { headers: session, signal: leave.signal });
  await expect.poll(() => seen).toEqual({ renewals: 2, closed: 1 });
  clock.advance(20_000);
  await expect.poll(() => seen.renewals).toBe(3);
  leave.abort();
  await expect.poll(() => seen.closed).toBe(2);
  clock.advance(60_000);
  expect(seen.renewals).toBe(3);
});
