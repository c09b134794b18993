import { once } from "node:events";
import { existsSync, linkSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { defaultLimits } from "../../src/model/limits.js";
import type { ListenAddress } from "../../src/model/listen_address.js";
import { ApiListener } from "../../src/server/api/api_listener.js";
import { ListenerError } from "../../src/server/listen/listener.js";
import { StreamListener } from "../../src/server/listen/stream_listener.js";
import { Listeners, type ListenersOptions } from "../../src/server/listeners.js";
import { opsListener } from "../../src/server/pages/ops_listener.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";
import { authenticate, FakeServices } from "./fake_services.js";
import { loopback, opened } from "./temporary.js";

const listenerOn = (address: ListenAddress): StreamListener =>
  new StreamListener(createServer(), address, "grpc", "NEXUS_GRPC_LISTEN");

const refusal = (address: ListenAddress): Promise<unknown> =>
  listenerOn(address)
    .open()
    .then(
      () => undefined,
      (error: unknown) => error,
    );

test("port 0 is answered with the port that the system chose", async () => {
  const listener = await opened(listenerOn(loopback));
  expect(listener.bound).toMatchObject({ kind: "tcp", host: "127.0.0.1", port: expect.any(Number) });
  expect(listener.bound).not.toMatchObject({ port: 0 });
});

test("a port in use is a ListenerError that names listener, address and setting", async () => {
  const { bound } = await opened(listenerOn(loopback));
  const error = await refusal(bound as ListenAddress);
  expect(error).toBeInstanceOf(ListenerError);
  expect((error as Error).message).toMatch(
    /^the grpc listener cannot listen on 127\.0\.0\.1:\d+: another process uses this address, perhaps another nexusd \(--port-base gives a second one its own ports\) \(EADDRINUSE\) \(the setting is NEXUS_GRPC_LISTEN\)$/,
  );
});

test("a Unix socket has mode 0600 and is gone after closing", async () => {
  const path = join(temporaryFolder(), "a.sock");
  const listener = await opened(listenerOn({ kind: "unix", path }));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await listener.close(new AbortController().signal);
  expect(existsSync(path)).toBe(false);
});

test("the umask is what it was before", async () => {
  const before = process.umask();
  await opened(listenerOn({ kind: "unix", path: join(temporaryFolder(), "a.sock") }));
  expect(process.umask()).toBe(before);
});

test("the socket of a killed process is replaced", async () => {
  const path = join(temporaryFolder(), "a.sock");
  // Closed under another name, so that nobody removes this one.
  const server = createServer().listen(`${path}.other`);
  await once(server, "listening");
  linkSync(`${path}.other`, path);
  server.close();
  await once(server, "close");
  expect(statSync(path).isSocket()).toBe(true);
  const listener = await opened(listenerOn({ kind: "unix", path }));
  const client = connect(path);
  await once(client, "connect");
  client.destroy();
  expect(listener.bound).toEqual({ kind: "unix", path });
});

test("a socket that answers is left alone", async () => {
  const path = join(temporaryFolder(), "a.sock");
  await opened(listenerOn({ kind: "unix", path }));
  const error = await refusal({ kind: "unix", path });
  expect((error as Error).message).toContain("another process listens on it");
  expect(existsSync(path)).toBe(true);
});

test.each([
  ["a file that is no socket", (folder: string) => join(folder, "file"), "not a socket"],
  ["a folder", (folder: string) => join(folder, "folder"), "not a socket"],
  ["a parent that is missing", (folder: string) => join(folder, "none", "a.sock"), "there is no folder"],
  ["a path that the system would cut", (folder: string) => join(folder, "x".repeat(120)), "bytes long"],
])("%s is refused and left alone", async (_what, pathIn, sentence) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "file"), "precious");
  mkdirSync(join(folder, "folder"));
  const path = pathIn(folder);
  const error = await refusal({ kind: "unix", path });
  expect(error).toBeInstanceOf(ListenerError);
  expect((error as Error).message).toContain(sentence);
  expect(statSync(join(folder, "file")).size).toBe(8);
});

test("closing again hastens, and closing what never opened is nothing", async () => {
  const listener = await opened(listenerOn(loopback));
  const accepted = once(listener.server, "connection");
  const client = connect({ host: "127.0.0.1", port: (listener.bound as { port: number }).port });
  onTestFinished(() => void client.destroy());
  await accepted;
  const patient = listener.close(new AbortController().signal);
  await listener.close(AbortSignal.abort());
  await patient;
  await listenerOn(loopback).close(new AbortController().signal);
});

test("a connection that cannot be accepted does not end the process", async () => {
  const listener = await opened(listenerOn(loopback));
  expect(listener.server.emit("error", new Error("accept ENFILE"))).toBe(true);
});

test("closing waits for open connections and cuts them off when it is told to", async () => {
  const listener = await opened(listenerOn(loopback));
  const accepted = once(listener.server, "connection");
  const client = connect({ host: "127.0.0.1", port: (listener.bound as { port: number }).port });
  onTestFinished(() => void client.destroy());
  await accepted;
  const force = new AbortController();
  let closed = false;
  const closing = listener.close(force.signal).then(() => {
    closed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toBe(false);
  force.abort();
  await closing;
});

test("a listener of two addresses that gets one of them keeps none", async () => {
  const { bound: taken } = await opened(listenerOn(loopback));
  const path = join(temporaryFolder(), "a.sock");
  const { services, onUnexpected } = new FakeServices();
  const listeners = new Listeners({
    grpcListen: [{ kind: "unix", path }, taken as ListenAddress],
    ...{ httpListen: [], browserListen: [], opsListen: [], publicUrl: "http://localhost" },
    ...{
      grpcServices: services,
      httpServices: services,
      openServices: [],
      routes: [],
      authenticate,
      onUnexpected,
    },
    ...{ clock: new ManualClock(0), limits: defaultLimits, onFull: () => undefined },
    tlsOf: () => undefined,
  } as Partial<ListenersOptions> as ListenersOptions);
  await expect(listeners.open()).rejects.toThrow(ListenerError);
  expect(existsSync(path)).toBe(false);
});

test("listeners that never opened close at once", async () => {
  const { services, onUnexpected } = new FakeServices();
  const common = { listen: loopback, setting: "NEXUS_X_LISTEN", services, authenticate, onUnexpected };
  const force = new AbortController().signal;
  await new ApiListener({ ...common, name: "grpc", clock: new ManualClock(0) }).close(force);
  const readiness = () => ({});
  const metrics = () => Promise.reject(new Error());
  await opsListener({ ...common, readiness, metrics, pages: {} }).close(force);
});
