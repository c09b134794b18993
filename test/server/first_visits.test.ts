import { once } from "node:events";
import { createServer } from "node:http";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ListenAddress } from "../../src/model/listen_address.js";
import { visitByGrpc, visitPage } from "../../src/server/first_visits.js";
import { TestDaemon } from "../daemon/harness.js";
import { freePort } from "../free_port.js";
import { temporaryFolder } from "../temporary_folder.js";

const health = "/grpc.health.v1.Health/Check";

async function listening(server: Server): Promise<ListenAddress> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { kind: "tcp", host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("a visit ends when it is answered, and leaves no connection", async () => {
  const asked: unknown[] = [];
  const grpc = createHttp2Server().on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders & { ":path"?: string }) => {
      asked.push(headers[":path"], headers["content-type"]);
      stream.respond({ ":status": 200 }, { endStream: true });
    },
  );
  const pages = createServer((request, response) => {
    asked.push(request.url);
    response.end("page");
  });
  await visitByGrpc(await listening(grpc), health);
  await visitPage(await listening(pages), "/status");
  expect(asked).toEqual([health, "application/grpc", "/status"]);
  for (const server of [grpc, pages] as Server[])
    expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
});

test("a visit that nobody answers ends too", async () => {
  const nowhere: ListenAddress[] = [
    { kind: "tcp", host: "127.0.0.1", port: await freePort() },
    { kind: "unix", path: join(temporaryFolder(), "none.sock") },
  ];
  for (const address of nowhere) {
    await visitByGrpc(address, health);
    await visitPage(address, "/status");
  }
  const rude = createServer().on("connection", (socket) => socket.destroy());
  const address = await listening(rude);
  await visitByGrpc(address, health);
  await visitPage(address, "/status");
});

test("a visit that is accepted and never answered ends", async () => {
  const mute = createTcpServer((socket) => socket.on("error", () => undefined).resume());
  const address = await listening(mute);
  await Promise.all([visitByGrpc(address, health), visitPage(address, "/status")]);
});

test("the daemon's visits to itself are neither counted, nor recorded, nor told", async () => {
  const daemon = await TestDaemon.start();
  onTestFinished(() => daemon.close());
  const traces = async () => ({
    counts: (await (await fetch(`${daemon.place.opsUrl}/metrics`)).text()).match(/^nexus_.*$/gm),
    events: (await daemon.clients.audit.listAuditEvents({})).events,
    lines: daemon.place.logLines.length,
  });
  await traces();
  const before = await traces();
  await daemon.daemon.listeners.visit();
  const after = await traces();
  const differing = after.counts?.filter((line, index) => line !== before.counts?.[index]);
  // Their own question for events is all that was counted.
  expect(differing?.every((line) => line.includes("ListAuditEvents"))).toBe(true);
  expect(after.events).toEqual(before.events);
  expect(after.lines).toBe(before.lines);
});
