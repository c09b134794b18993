import type { Socket } from "node:net";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Peer } from "../../domain/access/presented_credentials.js";

/** A property of the socket itself, because the proxies that HTTP/2 puts before a socket pass properties on. */
const peerKey = Symbol("peer");

interface Known {
  [peerKey]?: Peer;
}

/** Notes what a connection proves of its other end, once, before its first request. */
export function notePeer(socket: Socket, peer: Peer): void {
  (socket as Socket & Known)[peerKey] = peer;
}

/** What was noted; undefined when nothing was. */
export function peerOf(socket: Socket | undefined): Peer | undefined {
  return (socket as (Socket & Known) | undefined)?.[peerKey];
}

/** grpc-js has the stream of a call, and keeps it to itself. */
interface WithStream {
  readonly nextCall?: WithStream;
  readonly stream?: { readonly session?: { readonly socket?: Socket; readonly destroyed: boolean } };
}

/** What the connection of a call proves; undefined when the connection is gone. */
export function peerOfCall(call: ServerInterceptingCallInterface): Peer | undefined {
  let inner = call as unknown as WithStream;
  while (inner.stream === undefined && inner.nextCall !== undefined) inner = inner.nextCall;
  const session = inner.stream?.session;
  return session === undefined || session.destroyed ? undefined : peerOf(session.socket);
}
