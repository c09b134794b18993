import type { Socket } from "node:net";
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
