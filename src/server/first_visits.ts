import { get } from "node:http";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { ListenAddress } from "../model/listen_address.js";

/** A message without fields, as gRPC frames it. */
const emptyMessage = Buffer.alloc(5);

/** An address that nobody answers, behind a firewall, is not waited for. */
const visitMs = 2_000;

/** Calls an RPC without a credential, its request empty. Resolves when that is over, be it answered or not. */
export function visitByGrpc(address: ListenAddress, path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectSocket(address.kind === "unix" ? { path: address.path } : address);
    socket.setTimeout(visitMs, () => socket.destroy());
    const session = connect("http://localhost", { createConnection: () => socket });
    session.on("error", () => undefined).once("close", resolve);
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => undefined).once("close", () => session.destroy());
    stream.resume().end(emptyMessage);
  });
}

/** Reads a page without a credential. Resolves when that is over, be it answered or not. */
export function visitPage(address: ListenAddress, path: string): Promise<void> {
  return new Promise((resolve) => {
    const place = address.kind === "unix" ? { socketPath: address.path } : address;
    const request = get({ ...place, path, agent: false, timeout: visitMs }, (response) => response.resume());
    request.on("timeout", () => request.destroy()).on("error", () => undefined);
    request.once("close", resolve);
  });
}
