import { connect, type Socket } from "node:net";
import { ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { ApiListener, type ApiListenerOptions } from "../../src/server/api/api_listener.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { apiKey, authenticate, FakeServices } from "./fake_services.js";
import { loopback, opened, portOf } from "./temporary.js";

/** An open HTTP listener on a clock that stands still. */
export async function openListener(more: Partial<ApiListenerOptions> = {}) {
  const fake = new FakeServices();
  const clock = new ManualClock(0);
  const listener = await opened(
    new ApiListener({
      name: "http",
      listen: loopback,
      setting: "NEXUS_HTTP_LISTEN",
      services: fake.services,
      authenticate,
      onUnexpected: fake.onUnexpected,
      clock,
      ...more,
    }),
  );
  const port = listener.addresses[0]?.kind === "tcp" ? portOf(listener) : 0;
  return { fake, clock, listener, port, base: `http://127.0.0.1:${port}` };
}

export const withKey: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${apiKey}`);
  return next(request);
};

export type MakeTransport = (baseUrl: string, interceptors: Interceptor[]) => Transport;

export const transports: [string, MakeTransport][] = [
  [
    "Connect over HTTP/1.1",
    (baseUrl, interceptors) => createConnectTransport({ baseUrl, interceptors, httpVersion: "1.1" }),
  ],
  [
    "Connect in JSON over HTTP/1.1",
    (baseUrl, interceptors) =>
      createConnectTransport({ baseUrl, interceptors, httpVersion: "1.1", useBinaryFormat: false }),
  ],
  [
    "Connect over HTTP/2",
    (baseUrl, interceptors) => createConnectTransport({ baseUrl, interceptors, httpVersion: "2" }),
  ],
  [
    "gRPC-Web over HTTP/1.1",
    (baseUrl, interceptors) => createGrpcWebTransport({ baseUrl, interceptors, httpVersion: "1.1" }),
  ],
  [
    "gRPC-Web over HTTP/2",
    (baseUrl, interceptors) => createGrpcWebTransport({ baseUrl, interceptors, httpVersion: "2" }),
  ],
  ["gRPC over HTTP/2", (baseUrl, interceptors) => createGrpcTransport({ baseUrl, interceptors })],
];

/** What a call failed with. */
export const failure = async (work: Promise<unknown>): Promise<ConnectError> => {
  try {
    await work;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it did not fail");
};

export const getTokenPath = "/nexus.v1.TokenService/GetToken";
export const json = { "content-type": "application/json" };

/** A client by hand. */
export function connectTo(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}
