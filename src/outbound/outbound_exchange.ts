import { type IncomingMessage, request as sendRequest } from "node:http";
import type { Socket } from "node:net";
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from "node:zlib";

/** Status line and headers of an answer; the largest seen at providers are 9 KiB. */
const maxHeaderBytes = 16 * 1024;

export interface RawRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** What of a `Response` anybody reads: the real one makes a stream of a body that is at hand. */
export interface OutboundResponse {
  readonly status: number;
  readonly headers: Headers;
  text(): Promise<string>;
}

/** The body grew over its limit, as sent or decoded. */
export class TooLarge extends Error {}

/**
 * One request over a socket of its own, and the whole answer. Must not be called before the socket has been judged.
 *
 * @param mayWrite called right before the request is written; if it throws, nothing is written
 * @param onStatus called when the status is known
 * @throws TooLarge, or the error of the socket or of the parser; the caller destroys the socket
 */
export async function exchange(
  socket: Socket,
  url: URL,
  request: RawRequest,
  maxBytes: number,
  mayWrite: () => void,
  onStatus: (status: number) => void,
): Promise<OutboundResponse> {
  const message = await send(socket, url, request, mayWrite);
  const status = message.statusCode ?? 0;
  onStatus(status);
  const headers = keptHeaders(message);
  const isRedirect = status >= 300 && status < 400;
  const bytes = isRedirect
    ? new Uint8Array()
    : decode(await read(message, maxBytes), message.headers["content-encoding"], maxBytes);
  return { status, headers, text: () => Promise.resolve(utf8.decode(bytes)) };
}

/** As `Response.text()` decodes: without a byte order mark, and what is no UTF-8 replaced. */
const utf8 = new TextDecoder();

function send(
  socket: Socket,
  url: URL,
  { method, headers, body }: RawRequest,
  mayWrite: () => void,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    socket.cork();
    const outgoing = sendRequest({
      method,
      path: `${url.pathname}${url.search}`,
      headers: {
        ...headers,
        host: url.host,
        ...(body === undefined ? {} : { "content-length": String(body.byteLength) }),
      },
      createConnection: () => socket,
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    let isAnswered = false;
    outgoing.once("response", (message) => {
      isAnswered = true;
      resolve(message);
    });
    outgoing.on("error", reject);
    // A protocol that nobody requested (101) is neither an answer nor an error to Node.
    outgoing.once("close", () => isAnswered || reject(brokenOff("the request")));
    outgoing.end(body);
    // Node passes the request on in later ticks, and the process can be stopped before each: so the socket collects it first.
    setImmediate(() => {
      try {
        mayWrite();
        socket.uncork();
      } catch (violation) {
        reject(violation);
      }
    });
  });
}

/** As the system says that a peer has closed a connection. */
export function brokenOff(what: string): Error {
  return Object.assign(new Error(`${what} broke off`), { code: "ECONNRESET" });
}

/** By events: an iterator of a message takes several times as much. */
function read(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const brokeOff = (): void => reject(brokenOff("the body"));
    message.on("data", (chunk: Buffer) => {
      byteLength += chunk.byteLength;
      if (byteLength > maxBytes) reject(new TooLarge());
      else chunks.push(chunk);
    });
    message.once("end", () => (message.complete ? resolve(Buffer.concat(chunks)) : brokeOff()));
    message.on("error", reject);
    message.once("close", () => message.readableEnded || brokeOff());
  });
}

/** Nothing asks for a coding; some servers send one anyway. A trailer that is missing is no reason to lose a token set. */
function decode(bytes: Buffer, coding: string | undefined, maxBytes: number): Uint8Array {
  const options = { maxOutputLength: maxBytes, finishFlush: constants.Z_SYNC_FLUSH };
  try {
    switch (coding?.trim().toLowerCase()) {
      case "gzip":
      case "x-gzip":
        return gunzipSync(bytes, options);
      case "deflate":
        // RFC 9110 section 8.4.1.2: some leave the zlib wrapper out.
        return ((bytes[0] ?? 0) & 0x0f) === 8 ? inflateSync(bytes, options) : inflateRawSync(bytes, options);
      case "br":
        return brotliDecompressSync(bytes, { maxOutputLength: maxBytes });
      default:
        return bytes;
    }
  } catch (violation) {
    if (violation instanceof RangeError) throw new TooLarge();
    throw violation;
  }
}

/** No cookies, and nothing that describes the bytes on the wire. */
function keptHeaders(message: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
    const name = (message.rawHeaders[i] ?? "").toLowerCase();
    if (droppedHeaders.has(name)) continue;
    try {
      headers.append(name, message.rawHeaders[i + 1] ?? "");
    } catch {
      // What fetch would not carry is of no use to anybody here.
    }
  }
  return headers;
}

const droppedHeaders: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-length",
  "transfer-encoding",
  "set-cookie",
  "set-cookie2",
]);
