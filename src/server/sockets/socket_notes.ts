import type { Socket } from "node:net";
import type { Peer } from "../../domain/access/access.js";

// What is noted on a socket is a property of the socket itself, because the proxies that HTTP/2 puts before a socket pass properties on.
const peerKey = Symbol("peer");
const provenKey = Symbol("proven");

interface NotedSocket {
  [peerKey]?: Peer;
}

/** Notes what a connection proves of its other end, once, before its first request. */
export function notePeer(socket: Socket, peer: Peer): void {
  (socket as Socket & NotedSocket)[peerKey] = peer;
}

/** What was noted; undefined when nothing was. */
export function peerOf(socket: Socket | undefined): Peer | undefined {
  return (socket as (Socket & NotedSocket) | undefined)?.[peerKey];
}

type Guarded = Socket & { [provenKey]?: (() => void) | undefined };

/** @param proven called once, when a valid credential came over this connection */
export function awaitCredential(socket: Socket, proven: () => void): void {
  (socket as Guarded)[provenKey] = proven;
}

/** A valid credential came over this connection: from now on it is no unauthenticated's. */
export function noteCredential(socket: Socket | undefined): void {
  const proven = (socket as Guarded | undefined)?.[provenKey];
  if (!socket || !proven) return;
  (socket as Guarded)[provenKey] = undefined;
  proven();
}

/** Whether the guard still waits for a valid credential over this connection. */
export function isUnauthenticated(socket: Socket): boolean {
  return (socket as Guarded)[provenKey] !== undefined;
}

/** What is noted on `outer`, which speaks TLS, counts for the connection under it. */
export function standFor(outer: Socket, inner: Socket): void {
  const proven = (inner as Guarded)[provenKey];
  if (proven) (outer as Guarded)[provenKey] = proven;
}

/** Undefined where a socket is closed, or the system has none. */
export function descriptorOf(socket: Socket): number | undefined {
  // Node has no public way to it: the one private member that is read, by test/architecture/rules.ts.
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
