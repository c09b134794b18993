import type { Socket } from "node:net";
import { edgePolicy } from "../../model/edge_policy.js";
import { ResourceExhausted } from "../../model/errors.js";
import { defaultLimits, type Limits } from "../../model/limits.js";
import type { Clock } from "../../runtime/clock.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { type Descriptors, type FullOf, SocketGuard } from "../sockets/socket_guard.js";
import { lastWordOf } from "./pipelining.js";

/** What bounds the visitors of a listener. */
export interface ListenerLimits {
  readonly limits: Limits;
  readonly clock: Clock;
  /** None is kept back without it. */
  readonly descriptors?: Descriptors | undefined;
  /** Over it, other daemons go on, or an operator looks: half of what is kept back is for it too, as for the Unix sockets. */
  readonly isNeeded?: boolean;
  /** Notified of each socket that was closed because the listener, or the process, has as many as it may. */
  onFull(listener: string, of: FullOf): void;
}

/** The limits of a listener without limits of its own. */
export function limitsOf(bounds: ListenerLimits | undefined): Limits {
  return bounds?.limits ?? defaultLimits;
}

/**
 * @param isForCallers whether those who connect show credentials; otherwise they never do
 * @param isOfUnix whose mode says who connects: then there are no strangers to bound, and no crowds
 */
export function guardOf(
  bounds: ListenerLimits | undefined,
  listener: string,
  isForCallers: boolean,
  isOfUnix: boolean,
): SocketGuard | undefined {
  if (!bounds) return undefined;
  const { limits, clock, descriptors, isNeeded, onFull } = bounds;
  const { maxConnections } = limits;
  const { lifeMs, share, atLeast } = edgePolicy.unauthenticatedConnections;
  return new SocketGuard({
    maxConnections,
    maxUnauthenticated:
      isForCallers && !isOfUnix
        ? Math.min(maxConnections, Math.max(atLeast, maxConnections * share))
        : undefined,
    unauthenticatedLifeMs: isForCallers ? lifeMs : undefined,
    clock,
    isReserved: descriptors && ((socket) => descriptors.isReserved(socket, isOfUnix || isNeeded === true)),
    onFull: (of) => onFull(listener, of),
  });
}

/** Bytes of all fields, names and values, with what HTTP/1.1 puts between them. */
export function headerBytes(fields: Iterable<readonly [string, unknown]>): number {
  let bytes = 0;
  for (const [name, value] of fields) {
    for (const one of Array.isArray(value) ? value : [value]) {
      const length = Buffer.isBuffer(one) ? Math.ceil(one.length / 3) * 4 : Buffer.byteLength(String(one));
      bytes += name.length + length + 4;
    }
  }
  return bytes;
}

/** The response to a request over HTTP/2 with too long headers; over HTTP/1.1 Node refuses them itself. */
export function headersRefusal(
  headers: Readonly<Record<string, unknown>>,
  { maxHeaderBytes }: Limits,
): ResourceExhausted | undefined {
  if (mostHeaderBytes(headers) <= maxHeaderBytes) return undefined;
  return headerBytes(Object.entries(headers)) > maxHeaderBytes ? headersTooLarge(maxHeaderBytes) : undefined;
}

/** No less than `headerBytes`, and cheaper, which matters at each call: a UTF-16 code unit takes three bytes at most. */
function mostHeaderBytes(headers: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (typeof value !== "string") return Number.POSITIVE_INFINITY;
    bytes += name.length + 3 * value.length + 4;
  }
  return bytes;
}

export function headersTooLarge(maxHeaderBytes: number): ResourceExhausted {
  return new ResourceExhausted("HEADERS_TOO_LARGE", {
    what: "the headers of a request",
    limit: maxHeaderBytes,
    unit: "bytes",
    setting: "NEXUS_MAX_HEADER_BYTES",
  });
}

/** The code and the sentence alone, as the libraries of callers expect it of every server. */
export function messageTooLarge(maxMessageBytes: number): WireError {
  const limit = { limit: maxMessageBytes, unit: "bytes", setting: "NEXUS_MAX_MESSAGE_BYTES" };
  const { message } = new ResourceExhausted("MESSAGE_TOO_LARGE", { what: "a message", ...limit });
  return new WireError(codes.resource_exhausted, message);
}

/**
 * What node:http could not make a request of: answers with the limit that was broken, and closes. The connection is destroyed after a
 * second, whether or not the peer closes its half.
 */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  bounds: ListenerLimits | undefined,
  form: "json" | "text",
): void {
  const lastWord = lastWordOf(socket);
  if (!socket.writable || lastWord === "nothing") {
    socket.destroy();
    return;
  }
  const [status, word, message] = clientError(error, limitsOf(bounds));
  const body = form === "json" ? JSON.stringify({ error: word, message }) : `${message}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    "Connection: close",
    `Content-Type: ${form === "json" ? "application/json" : "text/plain; charset=utf-8"}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const timer = bounds?.clock.setTimer(edgePolicy.sockets.closingGraceMs, () => socket.destroy());
  socket.once("close", () => timer?.cancel());
  socket.end(lastWord === "refusal" ? `${head.join("\r\n")}\r\n\r\n${body}` : "");
}

function clientError(error: NodeJS.ErrnoException, limits: Limits): readonly [string, string, string] {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return [
        "431 Request Header Fields Too Large",
        "headers_too_large",
        headersTooLarge(limits.maxHeaderBytes).message,
      ];
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return ["413 Payload Too Large", "body_too_large", "the extensions of a chunk are too long"];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["408 Request Timeout", "request_timeout", "the request did not arrive in time"];
    default:
      return ["400 Bad Request", "bad_request", "the request is malformed"];
  }
}
